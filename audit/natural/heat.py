"""What a report says about changes without an adversary: one line for each kind, and all of them together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..diagnosis.table import Check
from ..report import Report, Row, unpack_bits
from ..statistics import sign_test, wilson
from .kinds import CORRUPTIONS, GROUPS
from .shift import SHIFTED

WORST = 3
"""Kinds that a report names, and shows images of, as the worst."""
OTHER = "shift"
"""The heading of kinds that belong to no group."""


@dataclass(frozen=True)
class Line:
    """One kind of change at all its severities."""

    kind: str
    group: str
    rows: dict[int, Row]
    """By severity."""

    @property
    def mean(self) -> float:
        """Mean accuracy over the severities, in 0..1."""
        return sum(row.accuracy for row in self.rows.values()) / len(self.rows)


def lines(rows: Sequence[Row]) -> list[Line]:
    """The kinds of a report, in its order."""
    found: dict[str, Line] = {}
    for row in rows:
        group = next((name for name, kinds in GROUPS.items() if row.attack in kinds), OTHER)
        found.setdefault(row.attack, Line(row.attack, group, {})).rows[int(row.epsilon)] = row
    return list(found.values())


def grouped(rows: Sequence[Row]) -> Iterator[tuple[str, list[Line]]]:
    """The same by heading."""
    found = lines(rows)
    for name in dict.fromkeys(line.group for line in found):
        yield name, [line for line in found if line.group == name]


def worst(rows: Sequence[Row], count: int = WORST) -> list[Line]:
    """The kinds with the lowest mean accuracy, the lowest first."""
    return sorted((line for line in lines(rows) if line.kind != SHIFTED), key=lambda line: line.mean)[:count]


@dataclass(frozen=True)
class Mean:
    """Mean accuracy over kinds and severities."""

    of: str
    """What it is over, in words."""
    accuracy: float
    interval: tuple[float, float]
    """95 %, for the choice of images."""
    kinds: tuple[str, ...]

    @property
    def text(self) -> str:
        """In words."""
        low, high = self.interval
        return f"{self.of} {self.accuracy:.1%} (95 % interval {low:.1%} to {high:.1%})"


def mean_accuracy(rows: Sequence[Row], n: int) -> Mean:
    """Mean corruption accuracy where all fifteen corruptions are there, else the mean over all kinds.

    Every kind has the same weight, whatever the number of its severities.
    """
    found = [line for line in lines(rows) if line.kind != SHIFTED] or lines(rows)
    published = [line for line in found if line.kind in CORRUPTIONS]
    of = f"mean accuracy over {len(found)} kinds of change"
    if len(published) == len(CORRUPTIONS):
        found, of = published, f"mean corruption accuracy ({len(published)} kinds)"
    elif len(found) == 1:
        of = f"mean accuracy under {found[0].kind}"
    shares = np.mean([_by_image(line, n) for line in found], axis=0)
    mean, cells = float(shares.mean()), sum(len(line.rows) for line in found)
    # As many single answers as vary so little: at least one of each image, at most all of them.
    alone = mean * (1 - mean)
    answers = n * min(max(alone / max(float(shares.var()), 1e-12), 1.0), float(cells)) if alone else n
    return Mean(of, mean, wilson(mean * answers, answers), tuple(line.kind for line in found))


def _by_image(line: Line, n: int) -> np.ndarray:
    """At which share of the severities each image is right: float64 [n]."""
    return np.mean([unpack_bits(row.survivors, n) for row in line.rows.values()], axis=0)


def natural_verdict(
    rows: Sequence[Row], clean: np.ndarray, names: tuple[str, str], checks: Sequence[Check]
) -> str:
    """One sentence: the mean, the drop from the clean images, and the worst kinds; what a shift does.

    Args:
        rows: of the report.
        clean: bool [n], the images that are right without a change.
        names: of the data, and of the set that they are compared with.
        checks: of the model's answers.
    """
    parts, found = [], worst(rows)
    if found:
        mean = mean_accuracy(rows, len(clean))
        parts.append(f"{mean.text}, {_apart(mean.accuracy - float(clean.mean()))} the clean images")
    if shifts := [row for row in rows if row.attack == SHIFTED]:
        parts.append(_shift(shifts[0], clean, names))
    if len(found) > 1:
        parts.append("lowest: " + ", ".join(f"{line.kind} {line.mean:.1%}" for line in found))
    if doubts := [check.meaning for check in checks if check.level != "fine"]:
        parts.append(f"suspicious because {'; '.join(doubts)}")
    return "; ".join(parts)


def _apart(difference: float) -> str:
    return f"{abs(100 * difference):.1f} points {'above' if difference > 0 else 'below'}"


def _shift(row: Row, clean: np.ndarray, names: tuple[str, str]) -> str:
    """Accuracy on the second set, and the exact two-sided McNemar test of the pairs."""
    right = unpack_bits(row.survivors, len(clean))
    lost, gained = int((clean & ~right).sum()), int((right & ~clean).sum())
    p = min(1.0, 2 * min(sign_test(lost, gained), sign_test(gained, lost)))
    low, high = row.interval
    return (
        f"accuracy {row.accuracy:.1%} (95 % interval {low:.1%} to {high:.1%}) on {names[1]}, "
        f"{_apart(row.accuracy - float(clean.mean()))} {names[0]}: {lost} images lost, {gained} gained "
        f"(p = {p:.2g}, exact McNemar test)"
    )


def shift_lists(report: Report) -> Iterator[tuple[str, list[str]]]:
    """Which images a shift loses and gains, by name."""
    pairs = [(i, i.clean == i.label, i.shifted) for i in report.images if i.shifted is not None]
    for title, before in (("lost", True), ("gained", False)):
        names = [
            i.file or f"image {i.index}" for i, clean, after in pairs if clean == before and after != before
        ]
        if names:
            yield title, names
