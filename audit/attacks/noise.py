"""Random noise: what a model must stand before anything can be said of attacks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..target import Target
from .base import Attack, Ball, Goal
from .directions import random_direction, random_point
from .streams import Streams


class Noise(Attack):
    """Random points of the ball, every other draw as far out as it goes; no gradient needed.

    As far out: in l-infinity every pixel by its whole half-width up or down, in l2 on the sphere.

    Args:
        draws: points tried per image; an image that is broken is left alone from then on.
    """

    name = "noise"
    needs_gradient = False
    takes_target = False

    def __init__(self, draws: int = 10) -> None:
        self.draws = draws

    def sweep(
        self, target: Target, images: np.ndarray, goal: Goal, balls: Sequence[Ball], streams: Streams
    ) -> Iterator[np.ndarray]:
        """See `Attack.sweep`."""
        for ball in balls:
            result, left = images.copy(), np.arange(len(images))
            for draw in range(self.draws):
                result[left] = _draw(streams.part(left), draw, images[left], ball)
                left = left[~goal.part(left).reached(target.answer(result[left]).scores)]
                if len(left) == 0:
                    break
            yield result


def _draw(streams: Streams, draw: int, images: np.ndarray, ball: Ball) -> np.ndarray:
    if draw % 2 == 0:
        return random_point(streams, draw, images, ball)
    shape = images.shape[1:]
    if ball.norm == "linf":
        return ball.confine(images + ball.radius * streams.signs(draw, shape), images)
    return ball.confine(images + ball.radius * random_direction(streams, draw, shape, "l2"), images)
