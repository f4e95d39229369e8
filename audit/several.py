"""One model under several protocols, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from ..artifacts import ExportedModel
from ..errors import VivavoceError
from .budget import Budget
from .plan import Settings, protocol_of
from .protocol import Protocol
from .report import check_distinct, joined
from .run import Audit, Progress, check_settings, robustness
from .state import check_protocols as check_state

LEAST = 1 / 2
"""Of its equal share of a budget, what a protocol gets though those before it took more than theirs."""


def audit_all(
    model: ExportedModel,
    settings: Settings,
    protocols: Sequence[Protocol],
    progress: Progress = lambda *_: None,
    left: Callable[[float], None] = lambda seconds: None,
) -> list[Audit]:
    """Audit a model under every protocol.

    A budget is shared: each protocol gets an equal part of what is left of it. All keep their state in one
    file.

    Args:
        model: opened.
        settings: what all audits have in common.
        protocols: at least one.
        progress: as for `robustness`; with several protocols the name of each stands before the step.
        left: likewise, about the audit that is running.

    Raises:
        VivavoceError: as `robustness`; before the first audit starts where that is possible.
        KeyboardInterrupt: as `robustness`.
    """
    check_distinct([protocol.name for protocol in protocols])
    each = [replace(settings, protocol=protocol) for protocol in protocols]
    for one in each:
        check_settings(one)
        protocol_of(one, model)
    budget = None if settings.budget is None else Budget.read(settings.budget)
    if len(each) > 1 and budget and budget.in_gradients and any(p.natural for p in protocols):
        raise VivavoceError(f"--budget {budget.text} counts gradients, but natural takes none; give a time")
    if settings.resume:
        check_state(settings.resume, [protocol.name for protocol in protocols])
    if len(each) == 1:
        return [robustness(model, each[0], progress, left=left)]
    found, started = [], time.perf_counter()
    for place, one in enumerate(each):
        name = protocols[place].name
        spent = time.perf_counter() - started
        share = budget and _share(budget, len(each), place, spent)
        watch = lambda what, done, steps, name=name: progress(f"{name}: {what}", done, steps)  # noqa: E731
        try:
            found.append(robustness(model, replace(one, budget=share), watch, left=left))
        except KeyboardInterrupt as error:
            raise KeyboardInterrupt(f"{name}: {error}") from None
    return found


def _share(budget: Budget, protocols: int, place: int, spent: float) -> str:
    """The budget of one protocol, as text.

    Args:
        budget: of all.
        protocols: how many there are.
        place: how many of them are finished.
        spent: seconds that those took.
    """
    equal = budget.amount / protocols
    if budget.in_gradients:
        return f"{max(int(equal), 1)}g"
    seconds = max((budget.amount - spent) / (protocols - place), LEAST * equal)
    return f"{seconds:.0f}s" if seconds >= 10 else f"{seconds:.3f}s"


def whole(audits: Sequence[Audit]) -> Audit:
    """The audits of one model as one: the first, with the reports of the others in its report."""
    return replace(audits[0], report=joined([audit.report for audit in audits]))
