"""HopSkipJump (Chen, Jordan and Wainwright 2020) from images of other classes; only decisions are needed.

A decision-based attack starts at an image that is decided otherwise and walks along the boundary towards the
clean one (Brendel et al. 2018). It needs no scores that change, so it also works on models whose scores are
piecewise constant: decision trees, nearest neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..target import Target
from .base import Attack, Ball, Goal
from .norms import euclid
from .streams import Streams

STARTS = 8
"""Images of other classes that each search starts from, the nearest ones."""
NOISE = 1 << 32
"""Number of the first draw of noise to start from; estimates draw below it."""
HALVINGS = 12
"""Steps of a search between two points."""
MOVES = 6
"""Lengths of a step that are tried."""
WIDTHS = (0.5, 0.1, 0.02)
"""Widths of the probes around a point on the boundary, as shares of its distance, in turn. A piecewise
constant model shows nothing to probes as close as the publication's."""


@dataclass
class _Search:
    """What is known of n images under attack."""

    target: Target
    clean: np.ndarray
    goal: Goal
    unit: np.ndarray
    """What counts as one along each channel: float32 [C, 1, 1]; [1, 1, 1] for l2."""
    norm: str
    best: np.ndarray
    """The nearest image found that reaches the goal, [n, C, H, W]."""
    distance: np.ndarray
    """Its distance: float64 [n]; infinite where none is found."""

    def reached(self, candidates: np.ndarray, some: np.ndarray) -> np.ndarray:
        """Whether candidates for the images at `some` reach the goal: bool."""
        return self.goal.part(some).reached(self.target.answer(candidates).scores)

    def measure(self, candidates: np.ndarray, some: np.ndarray) -> np.ndarray:
        """Distances of candidates from their clean images, in the ball's norm: float64."""
        moved = (candidates.astype(np.float64) - self.clean[some]) / self.unit
        if self.norm == "l2":
            return euclid(moved).reshape(-1)
        return np.abs(moved).max((1, 2, 3))

    def nearer(self, ends: np.ndarray, some: np.ndarray) -> None:
        """Search between clean images and ends that reach the goal; keep what is nearer than the best."""
        far = self.measure(ends, some)
        low, high, kept = np.zeros(len(some)), far.copy(), ends.copy()
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            candidates = self._between(ends, some, middle, far)
            hit = self.reached(candidates, some)
            kept[hit] = candidates[hit]
            low, high = np.where(hit, low, middle), np.where(hit, middle, high)
        better = high < self.distance[some]
        self.best[some[better]], self.distance[some[better]] = kept[better], high[better]

    def _between(self, ends: np.ndarray, some: np.ndarray, at: np.ndarray, far: np.ndarray) -> np.ndarray:
        """Points at a distance from the clean images: ends drawn to them (l2) or clipped to a box."""
        clean, at = self.clean[some], at[:, None, None, None]
        if self.norm == "l2":
            share = at / np.maximum(far[:, None, None, None], 1e-30)
            return (clean + share * (ends - clean)).astype(np.float32)
        return np.clip(ends, clean - at * self.unit, clean + at * self.unit).astype(np.float32)


class Boundary(Attack):
    """Walks along the decision boundary towards the clean image.

    An image is not attacked further once its distance is within the smallest ball.

    Args:
        rounds: estimates of the boundary's direction, each followed by a step.
        probes: queries for each estimate.
        minimum: search on within the smallest ball.
    """

    name = "boundary"
    needs_gradient = False
    needs_others = True
    on_boundary = True

    def __init__(self, rounds: int = 24, probes: int = 60, minimum: bool = False) -> None:
        self.rounds, self.probes, self.minimal = rounds, probes, minimum

    def sweep(
        self, target: Target, images: np.ndarray, goal: Goal, balls: Sequence[Ball], streams: Streams
    ) -> Iterator[np.ndarray]:
        """See `Attack.sweep`; one search serves all balls."""
        widest = balls[-1]
        far = np.full(len(images), np.inf)
        search = _Search(target, images, goal, widest.proportions, widest.norm, images.copy(), far)
        enough = 0.0 if self.minimal else float(balls[0].radius.max())
        if len(images):
            self._start(search, streams, enough)
            for k in range(self.rounds):
                left = np.flatnonzero((search.distance > enough) & np.isfinite(search.distance))
                if len(left):
                    self._step(search, left, streams.part(left), k)
        for ball in balls:
            yield ball.confine(search.best, images)

    def _start(self, search: _Search, streams: Streams, enough: float) -> None:
        """Search between each image and the nearest that reach its goal; noise where no image does."""
        others, decisions = search.target.others, search.target.decisions_of_others
        n = len(search.clean)
        gaps = np.full((n, len(others)), np.inf)
        for k in range(n):
            away = decisions != search.goal.labels[k] if search.goal.targets is None else (
                decisions == search.goal.targets[k])  # fmt: skip
            if away.any():
                repeated = np.full(int(away.sum()), k)
                gaps[k, away] = search.measure(others[away], repeated)
        order = np.argsort(gaps, axis=1, kind="stable")[:, :STARTS]
        for rank in range(order.shape[1]):
            chosen = order[:, rank]
            some = np.flatnonzero(np.isfinite(gaps[np.arange(n), chosen]) & (search.distance > enough))
            if len(some):
                search.nearer(others[chosen[some]], some)
        for step in range(STARTS):
            lost = np.flatnonzero(np.isinf(search.distance))
            if not len(lost):
                break
            noise = streams.part(lost).uniform(NOISE + step, search.clean.shape[1:])
            hit = search.reached(noise, lost)
            if hit.any():
                search.nearer(noise[hit], lost[hit])

    def _step(self, search: _Search, left: np.ndarray, streams: Streams, k: int) -> None:
        """Estimate the direction from the boundary into the goal's region, move along it, and search back."""
        base, far = search.best[left], search.distance[left][:, None, None, None]
        width = WIDTHS[k % len(WIDTHS)] * far
        drawn, total, mean = np.zeros(base.shape), np.zeros(base.shape), np.zeros((len(left), 1, 1, 1))
        for j in range(self.probes):
            noise = self._noise(search, streams, k * self.probes + j)
            hit = search.reached(np.clip(base + width * noise, 0, 1).astype(np.float32), left)
            answer = np.where(hit, 1.0, -1.0)[:, None, None, None]
            drawn, total, mean = drawn + answer * noise, total + noise, mean + answer / self.probes
        way = np.where(np.abs(mean) < 1, drawn - mean * total, np.sign(mean) * drawn)
        way = np.sign(way) if search.norm == "linf" else way / np.maximum(euclid(way), 1e-30)
        self._move(search, left, way, far / np.sqrt(k + 1))

    def _move(self, search: _Search, left: np.ndarray, way: np.ndarray, length: np.ndarray) -> None:
        """Move along a direction by a length, halved until the goal is reached, and search back."""
        base = search.best[left]
        open_ = np.ones(len(left), bool)
        moved = base.copy()
        for _ in range(MOVES):
            some = np.flatnonzero(open_)
            if not len(some):
                break
            candidates = np.clip(base + length * way * search.unit, 0, 1)[some].astype(np.float32)
            hit = search.reached(candidates, left[some])
            moved[some[hit]] = candidates[hit]
            open_[some[hit]] = False
            length = length / 2
        done = np.flatnonzero(~open_)
        if len(done):
            search.nearer(moved[done], left[done])

    @staticmethod
    def _noise(search: _Search, streams: Streams, step: int) -> np.ndarray:
        """A random direction: even in the box for linf, of length 1 for l2."""
        shape = search.clean.shape[1:]
        if search.norm == "linf":
            return (2 * streams.uniform(step, shape).astype(np.float64) - 1) * search.unit
        normal = streams.normal(step, shape).astype(np.float64)
        return normal / np.maximum(euclid(normal), 1e-30)
