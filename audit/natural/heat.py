"""What a report says about changes without an adversary: one line for each kind, and all of them together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..diagnosis.table import Check
from ..report import Row, unpack_bits
from ..statistics import Z95
from .kinds import CORRUPTIONS, GROUPS

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
    return sorted(lines(rows), key=lambda line: line.mean)[:count]


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
    found = lines(rows)
    published = [line for line in found if line.kind in CORRUPTIONS]
    of = f"mean accuracy over {len(found)} kinds of change"
    if len(published) == len(CORRUPTIONS):
        found, of = published, f"mean corruption accuracy ({len(published)} kinds)"
    elif len(found) == 1:
        of = f"mean accuracy under {found[0].kind}"
    shares = np.mean([_by_image(line, n) for line in found], axis=0)
    mean, half = float(shares.mean()), Z95 * float(shares.std()) / math.sqrt(n)
    interval = max(0.0, mean - half), min(1.0, mean + half)
    return Mean(of, mean, interval, tuple(line.kind for line in found))


def _by_image(line: Line, n: int) -> np.ndarray:
    """At which share of the severities each image is right: float64 [n]."""
    return np.mean([unpack_bits(row.survivors, n) for row in line.rows.values()], axis=0)


def natural_verdict(rows: Sequence[Row], clean: np.ndarray, checks: Sequence[Check]) -> str:
    """One sentence: the mean, the drop from the clean images, and the worst kinds.

    Args:
        rows: of the report.
        clean: bool [n], the images that are right without a change.
        checks: of the model's answers.
    """
    mean = mean_accuracy(rows, len(clean))
    drop = 100 * (float(clean.mean()) - mean.accuracy)
    found = worst(rows)
    parts = [f"{mean.text}, {drop:.1f} points below the clean images"]
    if len(found) > 1:
        parts.append("lowest: " + ", ".join(f"{line.kind} {line.mean:.1%}" for line in found))
    if doubts := [check.meaning for check in checks if check.level != "fine"]:
        parts.append(f"suspicious because {'; '.join(doubts)}")
    return "; ".join(parts)
