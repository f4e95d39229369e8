"""Projected gradient descent (Madry et al. 2018)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..target import Target
from .base import Attack, Ball, Goal
from .directions import random_point, steepest
from .objectives import ScoreObjective
from .streams import Streams


class PGD(Attack):
    """Steps of 2.5 / `steps` radii along the gradient, from random points of the ball.

    Any start can reach any end (Madry et al. 2018).

    An image is not attacked further once it is adversarial.

    Args:
        loss: a loss of one class in `gradient.losses.LOSSES`; None: the target's own.
        steps: gradient steps per start.
        restarts: random starts.
    """

    name = "pgd"
    on_device = ("linf", "l2")

    def __init__(self, loss: str | None = None, steps: int = 20, restarts: int = 1) -> None:
        self.loss, self.steps, self.restarts = loss, steps, restarts
        self.step = np.float32(2.5 / steps)

    def sweep(
        self, target: Target, images: np.ndarray, goal: Goal, balls: Sequence[Ball], streams: Streams
    ) -> Iterator[np.ndarray]:
        """See `Attack.sweep`."""
        objective = ScoreObjective(target, goal, self.loss or target.loss)
        for ball in balls:
            result, left = images.copy(), np.arange(len(images))
            for restart in range(self.restarts):
                start = random_point(streams.part(left), restart, images[left], ball)
                result[left], reached = self._descend(objective, images[left], left, ball, start)
                left = left[~reached]
                if len(left) == 0:
                    break
            yield result

    def _descend(
        self, objective: ScoreObjective, images: np.ndarray, places: np.ndarray, ball: Ball, start: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """One start: the points where the attack ended [n, C, H, W], and whether each reached the goal."""
        current = start.copy()
        reached = np.zeros(len(start), bool)
        go = np.arange(len(start))
        for step in range(self.steps + 1):
            _, gradient, broken = objective(current[go], places[go])
            reached[go[broken]] = True
            go, gradient = go[~broken], gradient[~broken]
            if len(go) == 0 or step == self.steps:
                break
            share = np.abs(gradient).sum((1, 2, 3), keepdims=True)
            direction = steepest(gradient / np.maximum(share, 1e-30), ball.norm)
            moved = current[go] + self.step * ball.radius * direction
            current[go] = ball.confine(moved, images[go])
        return current, reached
