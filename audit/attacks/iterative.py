"""The basic iterative method (Kurakin, Goodfellow and Bengio 2017)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..target import Target
from .base import Attack, Ball, Goal
from .directions import steepest
from .streams import Streams


class Iterative(Attack):
    """Steps of epsilon / steps along the sign of the current gradient, kept in the box and in 0..1.

    Chen et al. 2021, section 4.2, with 5 steps. The gradient is that of the current image alone; the
    released code adds up the gradients of all steps so far. In l2 a step goes along the gradient.
    """

    name = "iterative"
    norms = ("linf",)
    on_device = ("linf",)

    def __init__(self, steps: int = 5) -> None:
        self.steps = steps

    def sweep(
        self, target: Target, images: np.ndarray, goal: Goal, balls: Sequence[Ball], streams: Streams
    ) -> Iterator[np.ndarray]:
        """See `Attack.sweep`."""
        for ball in balls:
            step = goal.direction * ball.radius / np.float32(self.steps)
            current = images
            for _ in range(self.steps):
                way = steepest(target.gradient(current, goal.classes), ball.norm)
                current = ball.confine(current + step * way, images)
            yield current
