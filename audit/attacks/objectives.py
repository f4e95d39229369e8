"""The objectives that gradient attacks maximise, and the classes they are computed against."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ...gradient.losses import find
from ..target import Target
from .base import Ball, Goal
from .norms import GEOMETRIES, Norm

FEWEST = {"dlr": (3, "margin"), "targeted-dlr": (4, "difference")}
"""Losses that compare an image's largest scores: how many classes they need, and the loss for fewer."""
CANDIDATES = 100
"""Classes whose distance is estimated (Melamed, Yehudai and Shamir 2024, section 4)."""
DUALS: dict[Norm, Norm] = {"linf": "l1", "l2": "l2", "l1": "linf"}
"""The norm of a gradient that says how much a step of length 1 changes a linear function at most."""


class Objective(Protocol):
    """A number per image that an attack makes larger."""

    def __call__(self, points: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Look at some of the images of a batch.

        Args:
            points: candidates, float32 [n, C, H, W].
            places: int64 [n], which image of the batch each belongs to.

        Returns:
            Value [n], its gradient [n, C, H, W], and whether the file itself confirms that the goal is
            reached, bool [n].
        """
        ...


@dataclass(frozen=True)
class ScoreObjective:
    """A loss of the class to leave, or minus that of the class to reach."""

    target: Target
    goal: Goal
    loss: str
    rivals: np.ndarray | None = None
    """int64 [N], for losses between two classes: the other one."""

    def __call__(self, points: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """See `Objective`."""
        goal = self.goal.part(places)
        if self.rivals is None:
            sign, classes, rivals = goal.direction, goal.classes, None
        else:
            sign, classes, rivals = np.float32(1), goal.labels, self.rivals[places]
        value, gradient, scores = self.target.loss_and_gradient(points, classes, self.loss, rivals)
        return sign * value, sign * gradient, confirmed(self.target, goal, points, scores)


def confirmed(target: Target, goal: Goal, points: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Where scores [N, K] reach the goal, check it on the file itself: bool [N].

    The gradient's graph computes the same scores as the file only up to rounding, and an attack that
    stops at a success that the file does not confirm would have stopped too early.
    """
    reached = goal.reached(scores)
    if reached.any():
        reached[reached] = goal.part(reached).reached(target.answer(points[reached]).scores)
    return reached


def usable_loss(loss: str, target: Target) -> str:
    """The loss itself, or its substitute for a model with too few classes, which the target notes."""
    fewest, substitute = FEWEST.get(loss, (0, loss))
    if target.classes >= fewest:
        return loss
    target.note(f"{loss} needs {fewest} classes, the model has {target.classes}; used {substitute} instead")
    return substitute


def opponents(
    target: Target, images: np.ndarray, goal: Goal, loss: str, most: int | None, ball: Ball | None = None
) -> Iterator[np.ndarray | None]:
    """The other classes [N] that a loss plays the true one off against, one after the other.

    A loss of one class has none: None, once. A targeted goal has one. Otherwise those with the largest
    scores on the clean images come first, or with a ball those whose decision boundary is nearest by the
    ball's norm, at most `most` of them (None: all).
    """
    if not find(loss).rivals:
        yield None
    elif goal.targets is not None:
        yield goal.targets
    else:
        ranking = others_by_score(target.answer(images).scores, goal.labels)
        if ball is not None:
            ranking = _by_distance(target, images, goal.labels, ball, ranking[:, :CANDIDATES])
        yield from ranking[:, :most].T


def others_by_score(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """All classes but the true one, those with larger scores first: int64 [N, K-1]."""
    ranking = np.argsort(-scores, axis=1, kind="stable")
    return ranking[ranking != labels[:, None]].reshape(len(labels), scores.shape[1] - 1)


def _by_distance(
    target: Target, images: np.ndarray, labels: np.ndarray, ball: Ball, ranking: np.ndarray
) -> np.ndarray:
    """The classes of a ranking [N, R], those first whose linearised decision boundary is nearest: [N, R].

    The distance is the gap between two scores over the norm of the gap's gradient (MALT: Melamed, Yehudai and
    Shamir 2024, algorithm 1), in radii of the ball. Each class costs one gradient for each image.
    """
    distance = np.empty(ranking.shape)
    for k, rivals in enumerate(ranking.T):
        value, gradient, _ = target.loss_and_gradient(images, labels, "difference", rivals)
        slope = GEOMETRIES[DUALS[ball.norm]].size(ball.radius * gradient)
        distance[:, k] = -value / np.maximum(slope, 1e-30)
    return np.take_along_axis(ranking, np.argsort(distance, axis=1, kind="stable"), axis=1)
