"""The fast gradient sign method (Goodfellow, Shlens and Szegedy 2015)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..target import Target
from .base import Goal, confine


class FGSM:
    """One step of x' = x + epsilon * sign(gradient of the loss), kept in 0..1.

    Chen et al. 2021, section 4.2. All radii share one gradient.
    """

    name = "fgsm"

    def sweep(
        self, target: Target, images: np.ndarray, goal: Goal, radii: Sequence[np.ndarray]
    ) -> Iterator[np.ndarray]:
        """See `Attack.sweep`."""
        way = goal.direction * np.sign(target.gradient(images, goal.classes))
        for radius in radii:
            yield confine(images + radius * way, images, radius)
