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


def vanished(gradients: np.ndarray) -> np.ndarray:
    """Which of N gradients are zero everywhere, or not finite: bool [N]."""
    flat = gradients.reshape(len(gradients), -1)
    return ~(np.isfinite(flat).all(1) & (flat != 0).any(1))


def flattened(loss: str, value: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Where the loss itself, and not the model, may have made a gradient vanish: bool [N]."""
    largest = np.abs(gradient).max((1, 2, 3))
    return (largest < FLAT) & (value < SURE) if loss == "cross-entropy" else largest == 0
