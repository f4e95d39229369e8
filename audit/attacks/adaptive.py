"""Attacks on label banks with a threshold: make the answer rejected, or accepted for a wrong class.

Under a threshold an answer counts only if some row of the bank is within it. This can fail in two ways, and
each has its own attack: the right answer is rejected, or a wrong one is accepted. (`APGD` with `margin` and
`difference` attacks the decision for the nearest row: scores fall with the squared distance to each row.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ...artifacts import Outputs, decide
from ...errors import VivavoceError
from ..target import Target
from .apgd import APGD, attack_in_turn
from .base import Attack, Ball, Goal
from .objectives import others_by_score
from .streams import Streams


def rejected(outputs: Outputs, threshold: float) -> np.ndarray:
    """Whether no row of the bank is within the threshold: bool [N]."""
    return np.logical_not((_rows(outputs) < threshold).any(1))


def falsely_accepted(outputs: Outputs, labels: np.ndarray, threshold: float) -> np.ndarray:
    """Whether the decision is not the label, [N], and its row is within the threshold: bool [N]."""
    decisions = decide(outputs.scores)
    near = _rows(outputs)[np.arange(len(labels)), decisions] < threshold
    return (decisions >= 0) & (decisions != labels) & near


class Rejection(Attack):
    """Auto-PGD away from every row of the bank.

    It increases the distance to the nearest row, at first the true one, until no row is within the threshold.

    Args:
        steps: gradient steps per start.
        restarts: random starts.
    """

    name = "rejection"
    takes_target = False
    on_device = APGD.on_device

    def __init__(self, steps: int = 100, restarts: int = 1) -> None:
        self.steps, self.restarts = steps, restarts

    def sweep(
        self, target: Target, images: np.ndarray, goal: Goal, balls: Sequence[Ball], streams: Streams
    ) -> Iterator[np.ndarray]:
        """See `Attack.sweep`; only the images' labels matter in the goal.

        Raises:
            VivavoceError: the model has no threshold.
        """
        threshold = _threshold(target)

        def objective(points: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            outputs = target.answer(points)
            rows = _rows(outputs)
            gradient = target.distance_gradient(points, rows.argmin(1))
            return rows.min(1), gradient, rejected(outputs, threshold)

        for ball in balls:
            yield attack_in_turn([objective], images, ball, streams, self.steps, self.restarts)


class FalseAcceptance(Attack):
    """Auto-PGD towards the rows of other classes, one after the other.

    It descends the distance to that row until the decision is wrong and accepted.

    Args:
        steps: gradient steps per start.
        restarts: random starts per class.
        rivals: number of other classes to try, the likeliest first; None: all.
    """

    name = "false-acceptance"
    many_targets = True
    on_device = APGD.on_device

    def __init__(self, steps: int = 100, restarts: int = 1, rivals: int | None = None) -> None:
        self.steps, self.restarts, self.rivals = steps, restarts, rivals

    def sweep(
        self, target: Target, images: np.ndarray, goal: Goal, balls: Sequence[Ball], streams: Streams
    ) -> Iterator[np.ndarray]:
        """See `Attack.sweep`; for a targeted goal only the target class is tried.

        Raises:
            VivavoceError: the model has no threshold.
        """
        threshold = _threshold(target)
        if goal.targets is not None:
            rivals = goal.targets[:, None]
        else:
            rivals = others_by_score(target.answer(images).scores, goal.labels)[:, : self.rivals]
        approaches = [_Approach(target, goal, row, threshold) for row in rivals.T]
        for ball in balls:
            yield attack_in_turn(approaches, images, ball, streams, self.steps, self.restarts)


@dataclass(frozen=True)
class _Approach:
    """Minus the distance to one other class's row."""

    target: Target
    goal: Goal
    rivals: np.ndarray
    threshold: float

    def __call__(self, points: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        goal, rivals = self.goal.part(places), self.rivals[places]
        gradient = self.target.distance_gradient(points, rivals)
        outputs = self.target.answer(points)
        distance = _rows(outputs)[np.arange(len(rivals)), rivals]
        reached = falsely_accepted(outputs, goal.labels, self.threshold)
        if goal.targeted:
            reached &= goal.reached(outputs.scores)
        return -distance, -gradient, reached


def _threshold(target: Target) -> float:
    threshold = target.model.manifest.decoding.threshold
    if threshold is None:
        raise VivavoceError("only a label model with a threshold can be attacked through it")
    return threshold


def _rows(outputs: Outputs) -> np.ndarray:
    if outputs.loss is None:
        raise VivavoceError("the model gives no distances to the rows of a label bank")
    return outputs.loss
