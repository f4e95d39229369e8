"""PGD on the decision's margin over rising balls: the reference for the paper's attacks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..target import Target
from .base import Attack, Ball, Goal
from .pgd import PGD
from .streams import Streams


class Margin(Attack):
    """Climbs the largest score of another class less that of the true one, which the decision depends on.

    For label banks that is the margin between the nearest other label and the true one. A ball holds
    the smaller ones, so an image that was broken in one of them is not attacked again.
    """

    name = "margin"
    takes_target = False
    on_device = PGD.on_device

    def __init__(self, steps: int = 10) -> None:
        self.attack = PGD("margin", steps)

    def sweep(
        self, target: Target, images: np.ndarray, goal: Goal, balls: Sequence[Ball], streams: Streams
    ) -> Iterator[np.ndarray]:
        """See `Attack.sweep`; the balls must rise."""
        result, left = images.copy(), np.arange(len(images))
        for ball in balls:
            if len(left):
                found = self.attack.sweep(target, images[left], goal.part(left), [ball], streams.part(left))
                result = result.copy()
                result[left] = ball.confine(next(found), images[left])
                left = left[~goal.part(left).reached(target.answer(result[left]).scores)]
            yield result
