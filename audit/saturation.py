"""Gradients that vanish in float32 because of the loss, or because the model is flat."""

from __future__ import annotations

import numpy as np

FLAT = np.float32(1e-30)
"""A gradient without any larger entry has lost some to float32's smallest number, or all."""
SURE = np.float32(1e-6)
"""Cross-entropy below which that is the loss's own fault: its slope over the log-odds is as small."""
STAND_INS = {"cross-entropy": "log-odds", "dlr": "margin", "targeted-dlr": "difference"}
"""Losses whose gradient can vanish though the scores' does not, and what attacks follow there instead.

Cross-entropy vanishes in float32 where a model is sure. A ratio of differences is constant where the scores
behind the second are equal, as after a final ReLU.
"""


def largest(gradients: np.ndarray) -> np.ndarray:
    """Size of the largest entry of each of N gradients: float32 [N]; NaN where an entry is one."""
    return np.abs(gradients).max((1, 2, 3))


def vanished(sizes: np.ndarray) -> np.ndarray:
    """Which of N gradients with these largest entries are zero everywhere, or not finite: bool [N]."""
    return ~np.isfinite(sizes) | (sizes == 0)


def flattened(loss: str, value: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Where the loss itself, and not the model, may have made a gradient vanish: bool [N]."""
    return (sizes < FLAT) & (value < SURE) if loss == "cross-entropy" else sizes == 0
