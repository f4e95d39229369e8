"""The fast minimum-norm attack (Pintor, Roli, Brendel and Biggio 2021)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..target import Target
from .base import Attack, Ball, Goal
from .norms import GEOMETRIES, Norm, euclid
from .objectives import ScoreObjective
from .streams import Streams

GROWTH = (0.05, 1e-4)
"""By which share the ball of an image shrinks or grows after a step: at first, and at the end."""
LENGTH = (1.0, 0.01)
"""Euclidean length of a step: at first, and at the end."""
REFINEMENTS = 12
"""Halvings of the way between the image and the nearest adversarial point that was found."""


@dataclass
class _Nearest:
    """The nearest images found that reach the goal, and their distance in units of the ball."""

    images: np.ndarray
    unit: np.ndarray
    norm: Norm

    def __post_init__(self) -> None:
        self.points, self.size = self.images.copy(), np.full(len(self.images), np.inf)

    def measure(self, points: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Distances of points from their images: float64."""
        return GEOMETRIES[self.norm].size((points.astype(np.float64) - self.images[places]) / self.unit)

    def enter(self, points: np.ndarray, places: np.ndarray, reached: np.ndarray) -> None:
        """Keep the points that reach the goal and are nearer."""
        size = self.measure(points, places)
        nearer = reached & (size < self.size[places])
        self.points[places[nearer]], self.size[places[nearer]] = points[nearer], size[nearer]


class FMN(Attack):
    """Finds the smallest perturbation of each image: the ball shrinks where it is adversarial, else grows.

    One search serves all balls, since it looks at none of them. At the end it closes in on the decision
    boundary, on the straight way to the clean image.

    Args:
        steps: gradient steps.
    """

    name = "fmn"
    norms = ("linf", "l2", "l1")
    minimal = True
    on_boundary = True

    def __init__(self, steps: int = 200) -> None:
        self.steps = steps

    def sweep(
        self, target: Target, images: np.ndarray, goal: Goal, balls: Sequence[Ball], streams: Streams
    ) -> Iterator[np.ndarray]:
        """See `Attack.sweep`."""
        widest = balls[-1]
        nearest = _Nearest(images, np.maximum(widest.proportions, np.float32(1e-6)), widest.norm)
        if widest.radius.max() > 0 and len(images):
            self._search(target, goal, nearest)
            self._refine(target, goal, nearest)
        for ball in balls:
            yield ball.confine(nearest.points, images)

    def _search(self, target: Target, goal: Goal, nearest: _Nearest) -> None:
        objective, images = ScoreObjective(target, goal, "margin"), nearest.images
        everyone = np.arange(len(images))
        current, radius = images.copy(), np.full(len(images), np.inf)
        dual = {"linf": "l1", "l2": "l2", "l1": "linf"}[nearest.norm]
        for step in range(self.steps):
            value, gradient, reached = objective(current, everyone)
            nearest.enter(current, everyone, reached)
            share = (1 + np.cos(np.pi * step / self.steps)) / 2
            growth, length = (low + (high - low) * share for high, low in (GROWTH, LENGTH))
            slope = GEOMETRIES[dual].size(gradient * nearest.unit)
            ahead = nearest.measure(current, everyone) + np.abs(value) / np.maximum(slope, 1e-12)
            radius = np.where(
                reached,
                np.minimum(radius, nearest.size) * (1 - growth),
                np.where(np.isinf(nearest.size), ahead, radius * (1 + growth)),
            )
            way = gradient / np.maximum(euclid(gradient), 1e-30)
            around = (radius[:, None, None, None] * nearest.unit).astype(np.float32)
            current = GEOMETRIES[nearest.norm].confine(current + length * way, images, around)

    def _refine(self, target: Target, goal: Goal, nearest: _Nearest) -> None:
        places = np.flatnonzero(np.isfinite(nearest.size) & (nearest.size > 0))
        clean, way = nearest.images[places], nearest.points[places] - nearest.images[places]
        inside, outside = np.zeros(len(places), np.float32), np.ones(len(places), np.float32)
        for _ in range(REFINEMENTS if len(places) else 0):
            middle = (inside + outside) / 2
            points = np.clip(clean + middle[:, None, None, None] * way, 0, 1)
            reached = goal.part(places).reached(target.answer(points).scores)
            nearest.enter(points, places, reached)
            inside, outside = np.where(reached, inside, middle), np.where(reached, middle, outside)
