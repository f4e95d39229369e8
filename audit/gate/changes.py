"""What changed between two audits besides the figures: the diagnosis, labels and threshold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from ...artifacts import Manifest
from ..diagnosis.table import LEVELS
from ..report import Report

STRUCTURAL = frozenset({"no gradient", "probabilities for scores", "random answers"})
"""Checks of the file, not of figures: chance plays no part, and each one hides a model from attacks."""

Result = Literal["failed", "warning", "better"]


class Change(msgspec.Struct, frozen=True):
    """A difference between two audits."""

    name: str
    before: str
    after: str
    result: Result
    meaning: str
    """One line to show."""


def changes(sides: Sequence[tuple[str, Report, Report]]) -> Iterator[Change]:
    """Every change; `failed` if the new figures can no longer be trusted or compared.

    Args:
        sides: of each protocol its name, if there are several, and the reports before and after.
    """
    for label, before, after in sides:
        for change in _of_diagnosis(before, after):
            name = f"{label}: {change.name}" if label else change.name
            yield msgspec.structs.replace(change, name=name)
    yield from _promises(*sides[0][1:])


def _of_diagnosis(before: Report, after: Report) -> Iterator[Change]:
    old = {check.name: check.level for check in before.diagnosis}
    for check in after.diagnosis:
        was = old.get(check.name, "fine")
        if LEVELS.index(check.level) > LEVELS.index(was):
            grave = check.level in ("weak", "masked") or check.name in STRUCTURAL
            yield Change(check.name, was, check.level, "failed" if grave else "warning", check.meaning)
        elif check.level != was:
            yield Change(check.name, was, check.level, "better", check.meaning)


def _promises(before: Report, after: Report) -> Iterator[Change]:
    old, new = before.model.manifest, after.model.manifest
    kinds = [_kind(m) for m in (old, new)]
    if kinds[0] != kinds[1]:
        lost = old.label is not None
        meaning = f"labels were {kinds[0]}, are {kinds[1]}" + (
            ": threshold figures cannot be compared" if lost else ""
        )
        yield Change("labels", kinds[0], kinds[1], "failed" if lost else "warning", meaning)
    elif old.decoding.threshold != new.decoding.threshold:
        was, now = (_threshold(m) for m in (old, new))
        meaning = f"the threshold moved from {was} to {now}: its figures cannot be compared"
        yield Change("threshold", was, now, "failed", meaning)


def _kind(manifest: Manifest) -> str:
    """The kind of a model's labels, and the metric that compares them if it has one."""
    label = manifest.label
    if label is None:
        return "none"
    return f"{label.kind} by {label.metric}" if label.metric else label.kind


def _threshold(manifest: Manifest) -> str:
    """A model's threshold in the units of its metric."""
    label, threshold = manifest.label, manifest.decoding.threshold
    return "none" if threshold is None or label is None else f"{label.measure.shown(threshold):g}"


def same_threshold(before: Report, after: Report) -> bool:
    """Whether threshold figures of both can be compared."""
    old, new = before.model.manifest, after.model.manifest
    if old.label is None or new.label is None:
        return False
    return _kind(old) == _kind(new) and old.decoding.threshold == new.decoding.threshold
