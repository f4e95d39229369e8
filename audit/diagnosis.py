"""Can the attacks be believed? One small function per check, and the verdict."""

from __future__ import annotations

import msgspec
import numpy as np

from .evaluate import Evaluation
from .protocol import Protocol
from .statistics import wilson
from .target import Target

DEAD_SHARE = 0.01
"""Share of dead gradients above which the attacks have been blind on too many images."""


class Check(msgspec.Struct, frozen=True):
    """One question asked of an audit."""

    name: str
    statistic: float
    limit: float
    """`statistic` above this raises the alarm."""
    alarm: bool
    meaning: str


def diagnose(target: Target, evaluation: Evaluation) -> tuple[Check, ...]:
    """Run every check on a finished evaluation."""
    return dead_gradients(target), misread_model(evaluation, len(target.model.manifest.classes))


def dead_gradients(target: Target) -> Check:
    """Share of gradients that are zero everywhere or not finite: an attack that follows them stands still.

    Survival under such an attack says nothing about robustness (Athalye, Carlini and Wagner 2018).
    """
    share = target.dead / target.gradients if target.gradients else 0.0
    alarm = share > DEAD_SHARE
    meaning = f"{share:.1%} of the gradients were zero or not finite" + (
        ": the attacks were blind there, and survival is no sign of robustness" if alarm else ""
    )
    return Check("dead gradients", share, DEAD_SHARE, alarm, meaning)


def misread_model(evaluation: Evaluation, classes: int) -> Check:
    """Whether the clean accuracy could be chance: then images are probably fed or classes read wrongly.

    The statistic is twice chance minus the upper end of the accuracy's 95 % interval.
    """
    _, upper = wilson(int(evaluation.right.sum()), len(evaluation.labels))
    gap = min(2 / classes, 0.9) - upper
    alarm = gap > 0
    meaning = f"clean accuracy {evaluation.right.mean():.1%}, chance {1 / classes:.1%}" + (
        ": probably a mistake in the preprocessing or in the order of the classes" if alarm else ""
    )
    return Check("model misread", gap, 0.0, alarm, meaning)


def verdict(evaluation: Evaluation, protocol: Protocol, checks: tuple[Check, ...]) -> str:
    """One sentence: robust accuracy over all attacks at the largest epsilon, and what speaks against it."""
    largest = max(o.epsilon for o in evaluation.outcomes)
    survived = np.all([o.right for o in evaluation.outcomes if o.epsilon == largest], axis=0)
    low, high = wilson(int(survived.sum()), len(survived))
    attacks = " and ".join(protocol.attacks)
    alarms = [check.meaning for check in checks if check.alarm]
    trust = f"suspicious because {'; '.join(alarms)}" if alarms else "gradients present"
    return (
        f"robust accuracy {survived.mean():.1%} (95 % interval {low:.1%} to {high:.1%}) under {attacks} at "
        f"epsilon {largest:g} ({protocol.epsilon_space}), {trust}"
    )
