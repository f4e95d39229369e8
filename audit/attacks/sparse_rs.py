"""Sparse-RS for l0 (Croce et al. 2022): random search over a few pixels; only scores are needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..target import Target
from .base import Attack, Ball, Goal
from .square import goal_margin
from .streams import Streams

SCHEDULE = (
    (0, 1), (50, 2), (200, 4), (500, 5), (1000, 6), (2000, 8), (4000, 10), (6000, 12), (8000, 15), (10**9, 20)
)  # fmt: skip
"""Up to which of 10,000 queries the share of exchanged pixels is the first one divided by what."""


@dataclass
class _Chosen:
    """The pixels that are changed in n images, and their colours."""

    order: np.ndarray
    """int64 [n, pixels]: all pixels, the k changed ones first."""
    colours: np.ndarray
    """float32 [n, k, C]."""

    def part(self, some: np.ndarray) -> _Chosen:
        return _Chosen(self.order[some].copy(), self.colours[some].copy())

    def keep(self, some: np.ndarray, other: _Chosen, better: np.ndarray) -> None:
        self.order[some[better]], self.colours[some[better]] = other.order[better], other.colours[better]

    def paint(self, images: np.ndarray) -> np.ndarray:
        """The images with these pixels in these colours."""
        n, channels = images.shape[:2]
        painted = images.reshape(n, channels, -1).transpose(0, 2, 1).copy()
        painted[np.arange(n)[:, None], self.order[:, : self.colours.shape[1]]] = self.colours
        return painted.transpose(0, 2, 1).reshape(images.shape)

    def exchange(self, streams: Streams, step: int, count: int) -> None:
        """Give up `count` of the pixels for as many others, in random corners of the colour cube."""
        n, k = self.colours.shape[:2]
        rows, outside = np.arange(n), self.order.shape[1] - k
        given = np.argsort(streams.uniform(3 * step, (k,)), axis=1, kind="stable")[:, :count]
        taken = streams.integers(3 * step + 1, max(outside, 1), (count,)) + k
        corners = (streams.signs(3 * step + 2, (count, self.colours.shape[2])) + 1) / 2
        for j in range(count):
            inner = given[:, j]
            if outside:
                outer = taken[:, j]
                both = self.order[rows, inner], self.order[rows, outer]
                self.order[rows, outer], self.order[rows, inner] = both
            self.colours[rows, inner] = corners[:, j]


class SparseRS(Attack):
    """Changes k pixels, exchanges a share of them at a time, and keeps what lowers the margin.

    Pixels take the corners of the colour cube. An image is not attacked further once it is adversarial.

    Args:
        queries: per image.
        share: of the pixels that are exchanged at first (alpha_init).
    """

    name = "sparse-rs"
    needs_gradient = False
    norms = ("l0",)

    def __init__(self, queries: int = 5000, share: float = 0.3) -> None:
        self.queries, self.share = queries, share

    def sweep(
        self, target: Target, images: np.ndarray, goal: Goal, balls: Sequence[Ball], streams: Streams
    ) -> Iterator[np.ndarray]:
        """See `Attack.sweep`."""
        for ball in balls:
            yield self._search(target, images, goal, int(ball.radius.max() + 1e-6), streams)

    def _search(
        self, target: Target, images: np.ndarray, goal: Goal, count: int, streams: Streams
    ) -> np.ndarray:
        pixels, channels = images.shape[2] * images.shape[3], images.shape[1]
        count = min(count, pixels)
        if not count or not len(images):
            return images.copy()
        order = np.argsort(streams.uniform(0, (pixels,)), axis=1, kind="stable")
        best = _Chosen(order, (streams.signs(1, (count, channels)) + 1) / 2)
        scores = target.answer(best.paint(images)).scores
        margin = goal_margin(goal, scores)
        left = np.flatnonzero(~goal.reached(scores))
        for step in range(1, self.queries):
            if not len(left):
                break
            candidate = best.part(left)
            candidate.exchange(streams.part(left), step, self._exchanged(step, count))
            scores = target.answer(candidate.paint(images[left])).scores
            value, reached = goal_margin(goal.part(left), scores), goal.part(left).reached(scores)
            better = (value < margin[left]) | reached
            best.keep(left, candidate, better)
            margin[left[better]] = value[better]
            left = left[~reached]
        return best.paint(images)

    def _exchanged(self, step: int, count: int) -> int:
        """How many pixels a query exchanges."""
        place = step * 10_000 // self.queries
        divisor = next(divisor for last, divisor in SCHEDULE if place <= last)
        return max(int(self.share / divisor * count), 1)
