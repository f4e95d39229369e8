"""Sigma-zero (Cinà et al. 2025): the fewest pixels, by descending a smooth stand-in for their number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..target import Target
from .base import Attack, Ball, Goal
from .norms import changed_pixels
from .objectives import confirmed
from .streams import Streams

SMOOTH = 1e-3
"""Sigma: a pixel counts as length² / (length² + sigma)."""
FIRST_THRESHOLD = 0.3
"""Pixels that changed by less are undone after every step; the threshold adapts."""
ADAPT = 0.01
"""How fast it does: up where the image is adversarial, down where it is not."""
MOMENTS = (0.9, 0.999)
"""Of Adam (Kingma and Ba 2015)."""


class SigmaZero(Attack):
    """Descends the margin and the number of changed pixels, and undoes the smallest changes.

    The publication counts components; here a pixel counts once, whatever its channels, so both sparse attacks
    count alike. For one channel that is the same. The search stops within the smallest ball.

    Args:
        steps: gradient steps.
        rate: the first step, in 0..1; it falls to a tenth along a cosine.
        minimum: search on within the smallest ball, for the fewest pixels.
    """

    name = "sigma-zero"
    norms = ("l0",)

    def __init__(self, steps: int = 300, rate: float = 1.0, minimum: bool = False) -> None:
        self.steps, self.rate, self.minimal = steps, rate, minimum
        self.on_boundary = minimum

    def sweep(
        self, target: Target, images: np.ndarray, goal: Goal, balls: Sequence[Ball], streams: Streams
    ) -> Iterator[np.ndarray]:
        """See `Attack.sweep`; all balls share one search."""
        enough = 0.0 if self.minimal else float(balls[0].radius.max())
        best = self._search(target, images, goal, enough) if balls[-1].radius.max() >= 1 else images
        for ball in balls:
            small = ball.size(best, images) <= float(ball.radius.max())
            yield np.where(small[:, None, None, None], best, ball.confine(best, images))

    def _search(self, target: Target, images: np.ndarray, goal: Goal, enough: float) -> np.ndarray:
        """The adversarial images of fewest changed pixels that were found; else the clean ones."""
        n = len(images)
        moved, best = np.zeros(images.shape, np.float64), images.copy()
        fewest, threshold = np.full(n, np.inf), np.full(n, FIRST_THRESHOLD)
        first, second = np.zeros_like(moved), np.zeros_like(moved)
        left = np.arange(n)
        for step in range(self.steps):
            if not len(left):
                break
            points = (images[left] + moved[left]).astype(np.float32)
            slope, reached = self._slope(target, goal.part(left), points, moved[left])
            count = changed_pixels(points != images[left]).sum((1, 2))
            fewer = reached & (count < fewest[left])
            best[left[fewer]], fewest[left[fewer]] = points[fewer], count[fewer]
            rate = self.rate * (0.1 + 0.45 * (1 + np.cos(np.pi * step / self.steps)))
            first[left] = MOMENTS[0] * first[left] + (1 - MOMENTS[0]) * slope
            second[left] = MOMENTS[1] * second[left] + (1 - MOMENTS[1]) * slope**2
            mean, spread = (
                m[left] / (1 - b ** (step + 1)) for m, b in zip((first, second), MOMENTS, strict=True)
            )
            there = images[left] + moved[left] - rate * mean / (np.sqrt(spread) + 1e-8)
            ahead = np.clip(there, 0, 1) - images[left]
            threshold[left] = np.clip(threshold[left] + np.where(reached, ADAPT, -ADAPT) * rate, 0, 1)
            small = np.abs(ahead).max(1, keepdims=True) < threshold[left][:, None, None, None]
            moved[left] = np.where(small, 0, ahead)
            left = left[fewest[left] > enough]
        return best

    def _slope(
        self, target: Target, goal: Goal, points: np.ndarray, moved: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Gradient of the margin's positive part plus the smooth number of pixels, largest entry 1."""
        _, gradient, scores = target.loss_and_gradient(points, goal.classes, "margin")
        reached = confirmed(target, goal, points, scores)
        open_ = ~goal.reached(scores)
        margin = -goal.direction * gradient * open_[:, None, None, None]
        length = (moved**2).sum(1, keepdims=True)
        pixels = points.shape[2] * points.shape[3]
        count = 2 * moved * SMOOTH / (length + SMOOTH) ** 2 / pixels
        slope = margin + count
        largest = np.abs(slope).max((1, 2, 3), keepdims=True)
        return slope / np.maximum(largest, 1e-12), reached
