"""The fast gradient sign method (Goodfellow, Shlens and Szegedy 2015)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..target import Target
from .base import Attack, Ball, Goal
from .directions import steepest
from .streams import Streams


class FGSM(Attack):
    """One step of x' = x + epsilon * sign(gradient of the loss), kept in 0..1.

    Chen et al. 2021, section 4.2. All balls share one gradient. In l2 the step goes along the gradient
    itself, with length epsilon.
    """

    name = "fgsm"
    norms = ("linf",)
    on_device = ("linf",)

    def sweep(
        self, target: Target, images: np.ndarray, goal: Goal, balls: Sequence[Ball], streams: Streams
    ) -> Iterator[np.ndarray]:
        """See `Attack.sweep`."""
        gradient = goal.direction * target.gradient(images, goal.classes)
        for ball in balls:
            yield ball.confine(images + ball.radius * steepest(gradient, ball.norm), images)
