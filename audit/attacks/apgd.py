"""Auto-PGD (Croce and Hein 2020, "Reliable evaluation of adversarial robustness ...", section 3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np

from ...gradient.losses import find
from ..target import Target
from . import apgd_l1
from .base import Attack, Ball, Goal
from .directions import random_direction, steepest
from .objectives import Objective, ScoreObjective, opponents, usable_loss
from .streams import Streams

RHO = 0.75
"""Share of steps since the last checkpoint that must have raised the objective (condition 1)."""
MOMENTUM = 0.75
"""Weight of the new step; the rest goes to the step before (equation 3.1, alpha)."""
RESTARTS = {"linf": 1, "l2": 1, "l1": 5}
"""Starts of each attack without targets in AutoAttack's standard version, by norm."""
NAMES = {"cross-entropy": "apgd-ce", "targeted-dlr": "apgd-t", "probability-margin": "apgd-pm"}


class APGD(Attack):
    """Gradient ascent that halves its step, and goes back to the best point, where progress stalls.

    With `cross-entropy` the attack APGD-CE, with `dlr` APGD-DLR, with `targeted-dlr` the targeted APGD
    of the ensemble, against the 9 likeliest other classes one after the other, with `probability-margin` that
    of Xie et al. 2024 (arXiv 2411.15210). On label banks `margin`
    and `difference` on the scores are the margin between the distances to the rows of the bank, which is
    what the decision depends on. An image is not attacked further once it is adversarial.

    Args:
        loss: a name in `gradient.losses.LOSSES`; with too few classes for it, the margin; see `Target.notes`.
        steps: gradient steps per start.
        restarts: random starts per attacked class; None: those of AutoAttack's standard version for the norm.
        rivals: for a loss between two classes: how many other classes to go against; None: all.
        nearest: take the classes whose linearised decision boundary is nearest, and not the likeliest
            (MALT: Melamed, Yehudai and Shamir 2024, arXiv 2407.02240).
    """

    norms = ("linf", "l2", "l1")
    on_device = ("linf", "l2")

    def __init__(
        self,
        loss: str = "cross-entropy",
        steps: int = 100,
        restarts: int | None = None,
        rivals: int | None = 9,
        nearest: bool = False,
    ) -> None:
        self.name = "apgd-malt" if nearest else NAMES.get(loss, f"apgd-{loss}")
        self.loss, self.steps, self.restarts, self.rivals = loss, steps, restarts, rivals
        self.nearest = nearest
        self.many_targets = find(loss).rivals

    def sweep(
        self, target: Target, images: np.ndarray, goal: Goal, balls: Sequence[Ball], streams: Streams
    ) -> Iterator[np.ndarray]:
        """See `Attack.sweep`."""
        loss = usable_loss(self.loss, target)
        ball = balls[-1] if self.nearest else None
        rivals = list(opponents(target, images, goal, loss, self.rivals, ball))
        objectives = [ScoreObjective(target, goal, loss, others) for others in rivals]
        for ball in balls:
            restarts = self.restarts or (1 if self.many_targets else RESTARTS[ball.norm])
            yield attack_in_turn(objectives, images, ball, streams, self.steps, restarts)


def attack_in_turn(
    objectives: Sequence[Objective],
    images: np.ndarray,
    ball: Ball,
    streams: Streams,
    steps: int,
    restarts: int,
) -> np.ndarray:
    """Climb one objective after the other, `restarts` times each, on the images not yet broken.

    Returns:
        The point that reached the goal, or else the best one of the first climb: float32 [N, C, H, W].
    """
    result, left = images.copy(), np.arange(len(images))
    for turn, objective in enumerate(objectives):
        for restart in range(restarts):
            if len(left) == 0:
                return result
            drawn = streams.part(left).fork(turn)
            if ball.norm == "l1":
                start = images[left] + drawn.normal(restart, images.shape[1:])
                points, reached = apgd_l1.ascend(objective, images, left, ball, start, steps)
            else:
                direction = random_direction(drawn, restart, images.shape[1:], ball.norm)
                start = ball.confine(images[left] + ball.radius * direction, images[left])
                points, reached = ascend(objective, images, left, ball, start, steps)
            first = turn == restart == 0
            result[left] = points if first else np.where(reached[:, None, None, None], points, result[left])
            left = left[~reached]
    return result


@dataclass
class _Climb:
    """Images on their way up, all arrays with n rows."""

    places: np.ndarray
    current: np.ndarray
    previous: np.ndarray
    value: np.ndarray
    gradient: np.ndarray
    best: np.ndarray
    best_value: np.ndarray
    best_gradient: np.ndarray
    step: np.ndarray
    """float32 [n, 1, 1, 1], in radii."""
    rises: np.ndarray
    """int64 [n]: steps since the last checkpoint that raised the value."""
    halved: np.ndarray
    """bool [n]: whether the last checkpoint halved the step."""
    value_then: np.ndarray
    """The best value at the last checkpoint."""

    @classmethod
    def begin(cls, places: np.ndarray, start: np.ndarray, value: np.ndarray, gradient: np.ndarray) -> _Climb:
        """All at the start, with a step of two radii."""
        n = len(places)
        return cls(
            places, current=start.copy(), previous=start.copy(), value=value, gradient=gradient.copy(),
            best=start.copy(), best_value=value, best_gradient=gradient.copy(),
            step=np.full((n, 1, 1, 1), 2, np.float32), rises=np.zeros(n, np.int64),
            halved=np.zeros(n, bool), value_then=value,
        )  # fmt: skip

    def keep(self, kept: np.ndarray) -> None:
        """Go on with some of the images only."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name)[kept])

    def arrive(self, value: np.ndarray, gradient: np.ndarray) -> None:
        """Enter what was found at `current`."""
        self.rises += value > self.value
        self.value, self.gradient = value, gradient
        better = value > self.best_value
        self.best[better] = self.current[better]
        self.best_value = np.where(better, value, self.best_value)
        self.best_gradient[better] = gradient[better]

    def check(self, interval: int) -> None:
        """At a checkpoint: halve the step and restart from the best point where progress has stalled.

        That is (1) where fewer than rho of the steps since the last one rose, or (2) where neither the
        step nor the best value has changed since then.
        """
        stalled = self.rises < RHO * interval
        stalled |= ~self.halved & (self.best_value <= self.value_then)
        self.step[stalled] /= 2
        self.current[stalled] = self.best[stalled]
        self.value = np.where(stalled, self.best_value, self.value)
        self.gradient[stalled] = self.best_gradient[stalled]
        self.halved, self.value_then = stalled, self.best_value.copy()
        self.rises = np.zeros_like(self.rises)


def ascend(
    objective: Objective,
    images: np.ndarray,
    places: np.ndarray,
    ball: Ball,
    start: np.ndarray,
    steps: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Auto-PGD, algorithm 1.

    Args:
        objective: what to climb.
        images: a batch of clean images [N, C, H, W].
        places: int64 [n], the images of the batch to attack.
        ball: around each clean image.
        start: float32 [n, C, H, W] in the ball.
        steps: number of steps.

    Returns:
        For each of the n images the point that reached the goal, or else the one of the largest value;
        and whether the goal was reached, bool [n].
    """
    result, row = start.copy(), np.full(len(images), -1)
    row[places] = np.arange(len(places))
    reached = np.zeros(len(places), bool)
    value, gradient, broken = objective(start, places)
    climb, marks = _Climb.begin(places, start, value, gradient), [0, *checkpoints(steps)]

    def settle(broken: np.ndarray) -> None:
        done = row[climb.places[broken]]
        result[done], reached[done] = climb.current[broken], True
        climb.keep(~broken)

    settle(broken)
    for k in range(steps):
        if len(climb.places) == 0:
            break
        _step(climb, images[climb.places], ball, MOMENTUM if k else 1.0)
        value, gradient, broken = objective(climb.current, climb.places)
        climb.arrive(value, gradient)
        settle(broken)
        if k + 1 in marks:
            climb.check(k + 1 - max(m for m in marks if m <= k))
    result[row[climb.places]] = climb.best
    return result, reached


def _step(climb: _Climb, images: np.ndarray, ball: Ball, weight: float) -> None:
    """x' = P(x + weight (z - x) + (1 - weight) (x - previous)), z = P(x + step * steepest), P confines."""
    here = climb.current
    ahead = ball.confine(here + climb.step * ball.radius * steepest(climb.gradient, ball.norm), images)
    moved = weight * (ahead - here) + (1 - weight) * (here - climb.previous)
    climb.previous, climb.current = here, ball.confine(here + moved, images)


def checkpoints(steps: int) -> list[int]:
    """When the step size is looked at: ceil(p_j steps).

    p_0 = 0, p_1 = 0.22, p_{j+1} = p_j + max(p_j - p_{j-1} - 0.03, 0.06) (section 3.1), in hundredths.
    """
    hundredths, gap, marks = 22, 22, []
    while hundredths <= 100:
        marks.append(-(-hundredths * steps // 100))
        gap = max(gap - 3, 6)
        hundredths += gap
    return marks
