"""Steps that make the most of a gradient within a norm."""

from __future__ import annotations

import numpy as np

from .base import Norm, euclid


def steepest(gradient: np.ndarray, norm: Norm) -> np.ndarray:
    """The step of norm 1 along which a linear function with gradient [N, C, H, W] grows most.

    l-infinity: the sign. l2: the gradient divided by its length; where it is zero, no step.
    """
    if norm == "linf":
        return np.sign(gradient)
    return (gradient / np.maximum(euclid(gradient), 1e-30)).astype(np.float32)
