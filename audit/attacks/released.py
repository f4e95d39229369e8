"""The attacks of Chen et al. 2021 as their released code runs them, faults included.

They are kept for comparison with the corrected ones: FGSM clamps to the image's own range, and the
iterative method never clears the gradient, so that step n follows the sum of the gradients so far.
Both ignore the range of pixels, so only these attacks may leave 0..1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..target import Target
from .base import Attack, Ball, Goal
from .streams import Streams


class ReleasedFGSM(Attack):
    """FGSM on the normalised image, clamped to the smallest and largest value of that image."""

    name = "fgsm-released"
    stays_in_ball = False
    counts = False
    norms = ("linf",)

    def sweep(
        self, target: Target, images: np.ndarray, goal: Goal, balls: Sequence[Ball], streams: Streams
    ) -> Iterator[np.ndarray]:
        """See `Attack.sweep`."""
        entry = target.model.manifest.input
        mean, std = (np.array(v, np.float32).reshape(-1, 1, 1) for v in (entry.mean, entry.std))
        way = goal.direction * np.sign(target.gradient(images, goal.classes, as_it_is=True))
        normalised = (images - mean) / std
        low, high = (end(normalised, axis=(1, 2, 3), keepdims=True) for end in (np.min, np.max))
        for ball in balls:
            moved = normalised + ball.radius / std * way
            yield (np.clip(moved, low, high) * std + mean).astype(np.float32)


class ReleasedIterative(Attack):
    """Five steps of epsilon / 5 along the sign of the sum of all gradients so far, without any clamp."""

    name = "iterative-released"
    stays_in_ball = False
    counts = False
    norms = ("linf",)
    steps = 5

    def sweep(
        self, target: Target, images: np.ndarray, goal: Goal, balls: Sequence[Ball], streams: Streams
    ) -> Iterator[np.ndarray]:
        """See `Attack.sweep`."""
        for ball in balls:
            current, total = images, np.zeros_like(images)
            for _ in range(self.steps):
                total += target.gradient(current, goal.classes, as_it_is=True)
                step = goal.direction * ball.radius / np.float32(self.steps)
                current = current + step * np.sign(total)
            yield current
