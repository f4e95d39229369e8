"""The table of checks: what a check answers, and how an audit runs them all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, get_args

import msgspec

from .observations import Observations

Level = Literal["fine", "suspicious", "weak", "masked"]
LEVELS: tuple[Level, ...] = get_args(Level)
"""From good to bad. `weak`: the paper's attacks are too weak for this model; its gradients are sound."""


class Check(msgspec.Struct, frozen=True):
    """The answer to one question asked of an audit."""

    name: str
    level: Level
    statistic: float
    limit: float
    """The check speaks up when `statistic` is above this."""
    meaning: str
    """One line for people."""
    prose: str
    """What the check is about."""


Finding = tuple[float, float, Level, str]
"""Statistic, limit, level when the statistic is above the limit, and what it means."""
PIECEWISE = "piecewise constant"
"""Name of the check that finds models without gradients by nature; a verdict then says so."""
CHECKS: dict[str, Callable[[Observations], Finding | None]] = {}


def check(name: str) -> Callable[[Callable[[Observations], Finding | None]], Callable]:
    """Enter a check into the table under its name."""

    def enter(function: Callable[[Observations], Finding | None]) -> Callable:
        CHECKS[name] = function
        return function

    return enter


OF_ANSWERS = ("scores that are not finite", "random answers", "batch-dependent answers", "misread model")
"""Checks of the model's answers, which mean something without an attack."""


def diagnose(seen: Observations, names: Sequence[str] | None = None) -> tuple[Check, ...]:
    """Run every check, or those of these names, that has what it needs."""
    found = ((name, CHECKS[name](seen)) for name in (CHECKS if names is None else names))
    return tuple(_answer(name, finding) for name, finding in found if finding is not None)


def _answer(name: str, finding: Finding) -> Check:
    statistic, limit, level, meaning = finding
    return Check(name, level if statistic > limit else "fine", statistic, limit, meaning, prose_of(name))


def prose_of(name: str) -> str:
    """The paragraph about a check."""
    return " ".join((CHECKS[name].__doc__ or "").split())
