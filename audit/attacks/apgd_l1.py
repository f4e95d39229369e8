"""Auto-PGD in the l1 norm (Croce and Hein 2021, "Mind the box: l1-APGD for sparse adversarial attacks")."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from .base import Ball
from .norms import flattened
from .objectives import Objective

STAGES = ((3, 0.3), (2, 0.3), (1, 0.4))
"""Radius of each stage in radii of the ball, and its share of the steps: larger balls come first."""
FIRST_SHARE = 0.2
"""Share of the components that the first steps move."""
DENSER = 1.5
"""A step moves 1 / DENSER of the components that differ at the best point; the step shrinks by the same."""
SHORTEST = 0.1
"""The shortest step, in radii."""
FEWER = 0.95
"""Where the perturbation got sparser than this share since the last checkpoint, the step is long again."""
CHECKS = 0.04
"""Share of the steps between two checkpoints."""


def ascend(
    objective: Objective,
    images: np.ndarray,
    places: np.ndarray,
    ball: Ball,
    start: np.ndarray,
    steps: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Algorithm 1 of the paper, in balls of three, two and one radius.

    Args:
        objective: what to climb.
        images: a batch of clean images [N, C, H, W].
        places: int64 [n], the images of the batch to attack.
        ball: around each clean image.
        start: [n, C, H, W], anywhere.
        steps: number of steps of all stages.

    Returns:
        For each of the n images the point that reached the goal, or else the one of the largest value;
        and whether the goal was reached within the ball, bool [n].
    """
    clean = images[places]
    point, share = start, np.full(len(places), FIRST_SHARE)
    left, reached = np.arange(len(places)), np.zeros(len(places), bool)
    for factor, part in STAGES:
        around = Ball("l1", ball.radius * np.float32(factor))
        begun = around.confine(point, clean)
        if factor != STAGES[0][0]:
            share = _sparsity(begun, clean) / DENSER
        climb = _Climb(left, begun, share, clean)
        point, reached = _climb(
            objective, climb, clean, places, around, max(round(part * steps), 1), factor == 1
        )
    return point, reached


@dataclass
class _Climb:
    """Images on their way up, all arrays with n rows."""

    rows: np.ndarray
    current: np.ndarray
    share: np.ndarray
    """float64 [n]: of the components, those that a step moves."""
    before: np.ndarray
    """float64 [n]: share of the components that differed at the last checkpoint."""
    step: np.ndarray
    """float64 [n], in radii."""
    gradient: np.ndarray
    best: np.ndarray
    best_value: np.ndarray
    best_gradient: np.ndarray

    def __init__(self, rows: np.ndarray, start: np.ndarray, share: np.ndarray, clean: np.ndarray) -> None:
        n = len(rows)
        self.rows, self.current, self.share = rows, start.copy(), share
        self.before = np.maximum(_sparsity(start, clean), share)
        self.step, self.gradient = np.ones(n), np.zeros_like(start)
        self.best, self.best_value = start.copy(), np.full(n, -np.inf)
        self.best_gradient = np.zeros_like(start)

    def keep(self, kept: np.ndarray) -> None:
        """Go on with some of the images only."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name)[kept])

    def arrive(self, value: np.ndarray, gradient: np.ndarray) -> None:
        """Enter what was found at `current`."""
        self.gradient = gradient.copy()
        better = value > self.best_value
        self.best[better], self.best_gradient[better] = self.current[better], gradient[better]
        self.best_value = np.where(better, value, self.best_value)

    def check(self, clean: np.ndarray) -> None:
        """At a checkpoint: adapt how many components move, and the step; where it was sparser, go back."""
        now = _sparsity(self.best, clean)
        sparser = now < FEWER * self.before
        self.step = np.where(sparser, 1, np.maximum(self.step / DENSER, SHORTEST))
        self.current[sparser], self.gradient[sparser] = self.best[sparser], self.best_gradient[sparser]
        self.share, self.before = now / DENSER, now


def _climb(
    objective: Objective,
    climb: _Climb,
    clean: np.ndarray,
    places: np.ndarray,
    ball: Ball,
    steps: int,
    last: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """One stage: the points and whether they reached the goal, of all images; successes stop in the last."""
    result, reached = climb.current.copy(), np.zeros(len(places), bool)
    interval = max(int(CHECKS * steps), 1)
    for k in range(steps + 1):
        value, gradient, broken = objective(climb.current, places[climb.rows])
        climb.arrive(value, gradient)
        if last and broken.any():
            done = climb.rows[broken]
            result[done], reached[done] = climb.current[broken], True
            climb.keep(~broken)
        if k == steps or not len(climb.rows):
            break
        if k and k % interval == 0:
            climb.check(clean[climb.rows])
        moved = climb.current + ball.radius * _sparse(climb)
        climb.current = ball.confine(moved, clean[climb.rows])
    result[climb.rows] = climb.best
    return result, reached


def _sparse(climb: _Climb) -> np.ndarray:
    """The step along the largest components of the gradient, each by the same amount: l1 norm `step`."""
    size = np.abs(flattened(climb.gradient))
    count = size.shape[1]
    place = np.clip(((1 - climb.share) * count).astype(np.int64), 0, count - 1)
    limit = np.sort(size, axis=1)[np.arange(len(size)), place]
    way = np.sign(flattened(climb.gradient)) * (size >= limit[:, None])
    length = np.maximum(np.abs(way).sum(1), 1)
    step = (climb.step / length)[:, None] * way
    return step.reshape(climb.gradient.shape).astype(np.float32)


def _sparsity(points: np.ndarray, clean: np.ndarray) -> np.ndarray:
    """Share of the components in which points differ from the clean images: float64 [n]."""
    return flattened(points != clean).mean(1)
