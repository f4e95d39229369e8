"""The targeted fast adaptive boundary attack (Croce and Hein 2020, "Minimally distorted ...")."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..target import Target
from .base import Attack, Ball, Goal
from .directions import random_direction
from .hyperplane import project
from .norms import GEOMETRIES, Norm, flattened
from .objectives import opponents
from .streams import Streams

REFINEMENTS = 10
"""Halvings of the way back to the image at the end of a search for the smallest perturbation."""
CHUNK = 2**22
"""Pixels that are projected at a time, in float64."""


class FAB(Attack):
    """Searches for the nearest image with a different decision by stepping to linearised decision boundaries.

    Algorithm 1 of the paper against one other class at a time: the boundary between it and the true
    class is linearised at the current point, and the next point is a mixture, overshot by eta, of the
    current point's projection on that hyperplane and the clean image's. Whenever the decision is
    adversarial the attack goes back towards the clean image, to the share beta of the way.

    Within a ball whose half-widths differ by channel, distances are measured in these half-widths.

    Args:
        steps: steps per start.
        restarts: the first from the clean image, the others from random points around it.
        rivals: how many other classes, the likeliest first; None: all.
        alpha: largest share of the clean image's projection in the mixture (alpha_max).
        eta: overshoot.
        beta: share of the way that is kept when going back.
        minimum: go on with images that are broken already, and close in on the boundary at the end: the
            smallest perturbation that can be found, whatever the ball. Otherwise stop within the
            smallest ball.
    """

    name = "fab-t"
    many_targets = True
    on_boundary = True
    norms = ("linf", "l2", "l1")

    def __init__(
        self,
        steps: int = 100,
        restarts: int = 1,
        rivals: int | None = 9,
        alpha: float = 0.1,
        eta: float = 1.05,
        beta: float = 0.9,
        minimum: bool = False,
    ) -> None:
        self.steps, self.restarts, self.rivals, self.minimum = steps, restarts, rivals, minimum
        self.alpha, self.eta, self.beta = alpha, eta, beta

    def sweep(
        self, target: Target, images: np.ndarray, goal: Goal, balls: Sequence[Ball], streams: Streams
    ) -> Iterator[np.ndarray]:
        """See `Attack.sweep`. Balls of one shape share one search."""
        found: list[tuple[_Frame, np.ndarray]] = []
        for ball in balls:
            frame = _Frame.of(ball)
            if frame is None:
                yield images.copy()
                continue
            closest = next((points for other, points in found if other.like(frame)), None)
            if closest is None:
                alike = [b.radius.max() for b in balls if (f := _Frame.of(b)) and f.like(frame)]
                enough = None if self.minimum else float(min(alike))
                closest = self._closest(target, images, goal, frame, streams, enough, max(alike))
                found.append((frame, closest))
            yield ball.confine(closest, images)

    def _closest(
        self,
        target: Target,
        images: np.ndarray,
        goal: Goal,
        frame: _Frame,
        streams: Streams,
        enough: float | None,
        reach: float,
    ) -> np.ndarray:
        """The nearest images found that reach the goal, or the clean ones: [N, C, H, W].

        The search stops within `enough`; random restarts begin at most half of `reach` away.
        """
        search = _Search(target, images, goal, frame, enough)
        rivals = list(opponents(target, images, goal, "difference", self.rivals))
        for turn, others in enumerate(rivals):
            assert others is not None  # the loss is one between two classes
            for restart in range(self.restarts):
                left = search.left()
                if len(left) == 0:
                    break
                start = images[left]
                if restart:
                    way = random_direction(
                        streams.part(left).fork(turn), restart, images.shape[1:], frame.norm
                    )
                    far = np.minimum(search.size[left], reach).astype(np.float32).reshape(-1, 1, 1, 1)
                    start = np.clip(start + far / 2 * frame.scale * way, 0, 1)
                self._approach(search, left, others[left], start)
        if self.minimum:
            search.refine()
        return search.points

    def _approach(self, search: _Search, left: np.ndarray, others: np.ndarray, start: np.ndarray) -> None:
        """One start against one other class for each of the images `left`."""
        current = start.copy()
        for _ in range(self.steps):
            clean = search.images[left]
            value, gradient, _ = search.target.loss_and_gradient(
                current, search.goal.labels[left], "difference", others
            )
            rows = max(CHUNK // clean[0].size, 1)
            parts = (slice(k, k + rows) for k in range(0, len(clean), rows))
            arrays = (current, clean, value, gradient)
            current = np.concatenate([self._mixture(search.frame, *(a[p] for a in arrays)) for p in parts])
            broken = search.enter(left, current)
            back = clean + np.float32(self.beta) * (current - clean)
            current = np.where(broken[:, None, None, None], back, current)
            if search.enough is not None:
                going = search.size[left] > search.enough
                left, others, current = left[going], others[going], current[going]
                if len(left) == 0:
                    return

    def _mixture(
        self, frame: _Frame, current: np.ndarray, clean: np.ndarray, value: np.ndarray, gradient: np.ndarray
    ) -> np.ndarray:
        """(1 - a) (x + eta d(x)) + a (clean + eta d(clean)), a = |d(x)| / (|d(x)| + |d(clean)|) <= alpha."""
        here, origin = frame.flat(current / frame.scale), frame.flat(clean / frame.scale)
        normal = frame.flat(gradient * frame.scale)
        high = frame.flat(np.broadcast_to(1 / frame.scale, current.shape))
        offset = -value.astype(np.float64)
        step = project(here, normal, offset, np.zeros(1), high, frame.norm)
        offset = offset - np.einsum("nd,nd->n", normal, origin - here)
        leap = project(origin, normal, offset, np.zeros(1), high, frame.norm)
        near, far = (np.maximum(frame.length(d), 1e-8) for d in (step, leap))
        alpha = np.minimum(near / (near + far), self.alpha)[:, None]
        mixed = (1 - alpha) * (here + self.eta * step) + alpha * (origin + self.eta * leap)
        return np.clip(mixed.reshape(current.shape) * frame.scale, 0, 1).astype(np.float32)


@dataclass(frozen=True)
class _Frame:
    """How distances are measured: a norm, after division by a scale per channel."""

    norm: Norm
    scale: np.ndarray
    """float32 [C, 1, 1], at most 1."""

    @classmethod
    def of(cls, ball: Ball) -> _Frame | None:
        """The frame in which the ball's channels are alike; None for a ball of one point."""
        largest = ball.radius.max()
        if largest == 0:
            return None
        return cls(ball.norm, np.maximum(ball.radius / largest, np.float32(1e-6)))

    def like(self, other: _Frame) -> bool:
        return self.norm == other.norm and np.allclose(self.scale, other.scale, rtol=1e-5)

    def flat(self, arrays: np.ndarray) -> np.ndarray:
        return flattened(arrays).astype(np.float64)

    def length(self, steps: np.ndarray) -> np.ndarray:
        """Norm of each of the steps [N, ...], already divided by the scale: [N]."""
        return GEOMETRIES[self.norm].size(steps)


class _Search:
    """The nearest adversarial images found so far."""

    def __init__(
        self, target: Target, images: np.ndarray, goal: Goal, frame: _Frame, enough: float | None
    ) -> None:
        self.target, self.images, self.goal, self.frame, self.enough = target, images, goal, frame, enough
        self.points = images.copy()
        self.size = np.full(len(images), np.inf)
        self.enter(np.arange(len(images)), images)

    def left(self) -> np.ndarray:
        """Which images go on."""
        return np.flatnonzero(self.size > (self.enough or 0))

    def enter(self, places: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Score points [n, C, H, W] with the file, keep the nearer ones; which reached the goal: [n]."""
        scores = self.target.answer(points).scores
        reached = self.goal.part(places).reached(scores)
        size = self.frame.length((points.astype(np.float64) - self.images[places]) / self.frame.scale)
        nearer = reached & (size < self.size[places])
        self.points[places[nearer]], self.size[places[nearer]] = points[nearer], size[nearer]
        return reached

    def refine(self) -> None:
        """Halve the way between the image and what was found, as long as it stays adversarial."""
        places = np.flatnonzero(np.isfinite(self.size) & (self.size > 0))
        clean, inside = self.images[places], np.zeros(len(places), np.float32)
        way = self.points[places] - clean
        outside = np.ones(len(places), np.float32)
        for _ in range(REFINEMENTS if len(places) else 0):
            middle = (inside + outside) / 2
            broken = self.enter(places, clean + middle[:, None, None, None] * way)
            inside, outside = np.where(broken, inside, middle), np.where(broken, middle, outside)
