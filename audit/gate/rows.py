"""Tests every figure of two models for a drop that is not chance."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

import msgspec

from ..statistics import holm, largest_drop, largest_mean_drop, sign_test
from .limits import Limits
from .pairing import Vector
from .stopping import level

Result = Literal["failed", "undecided", "unproven", "tolerated", "same", "improved", "lower", "higher"]


class Pair(msgspec.Struct, frozen=True):
    """One figure of both models, on n images."""

    name: str
    """Short name, as `--max-drop` takes it."""
    title: str
    protocol: str
    """Under which it was measured; empty for the clean images, which all protocols have in common."""
    before: float
    """Share of the images, in 0..1."""
    after: float
    lost: int
    """Images right before and wrong after."""
    gained: int
    p: float
    """Exact McNemar test, one-sided in a check and two-sided in a comparison, corrected by Holm."""
    tolerance: float
    """Points that it may drop."""
    largest_drop: float
    """Points by which it may have dropped: the upper end of a one-sided interval at `alpha`, for this row
    alone."""
    result: Result
    """In a check `failed`: dropped by more than the tolerance, significantly; `unproven`: by more, but it
    could be chance; `undecided`: by more, but the check failed and ended before this row was decided;
    `tolerated`: by less; `improved`: significantly. In a comparison `lower` or `higher`:
    significantly; `unproven`: different, but it could be chance."""

    @property
    def points(self) -> float:
        """Change in points."""
        return 100 * (self.after - self.before)

    @property
    def line(self) -> str:
        """The change in one line."""
        way = f"{abs(self.points):.1f} points {'lower' if self.points < 0 else 'higher'}"
        return (
            f"{self.title}: {self.before:.1%} to {self.after:.1%}, {way if self.points else 'unchanged'} "
            f"({self.lost} images lost, {self.gained} gained, p = {self.p:.2g})"
        )


def pair_up(
    pairs: list[tuple[Vector, Vector]],
    limits: Limits,
    gate: bool = True,
    tested: Collection[str] | None = None,
    decided: Mapping[str, bool | None] | None = None,
) -> tuple[Pair, ...]:
    """Test every pair of outcome vectors, with a correction for multiple tests.

    Args:
        pairs: before and after.
        limits: what passes.
        gate: one-sided tests against a tolerance; else two-sided ones.
        tested: names of the rows that the correction counts; None: those that can drop.
        decided: rows whose attacks ended early, and whether they failed; None: not decided. Their p-value is
            of the images so far, and counts for no other row.
    """
    decided = decided or {}
    if tested is None:
        tested = {old.name for old, _ in pairs if not gate or can_drop(old)}
    lost = [int((new.values < old.values).sum()) for old, new in pairs]
    gained = [int((new.values > old.values).sum()) for old, new in pairs]
    drops = [sign_test(*counts) for counts in zip(lost, gained, strict=True)]
    gains = [sign_test(*counts) for counts in zip(gained, lost, strict=True)]
    if not gate:
        drops = gains = [min(1.0, 2 * min(both)) for both in zip(drops, gains, strict=True)]
    names = [old.name for old, _ in pairs]
    early = [min(1.0, len(tested) * p) for p in drops]
    counted = {n: 1.0 if n in decided else p for n, p in zip(names, drops, strict=True) if n in tested}
    corrected = dict(zip(counted, holm(list(counted.values())), strict=True))
    drops, gains = [corrected.get(name, 1.0) for name in names], holm(gains)
    found = []
    for k, (old, new) in enumerate(pairs):
        p = early[k] if old.name in decided else gains[k] if gained[k] > lost[k] else drops[k]
        tolerance = limits.tolerance(old.name) if gate else 0.0
        points = 100 * (old.share - new.share)
        if not gate:
            result = _shown(points, p <= limits.alpha)
        else:
            result = _judged(points, decided.get(old.name, p <= level(limits.alpha)), tolerance)
        most = 100 * _largest_drop(old, new, lost[k], gained[k], limits.alpha)
        found.append(
            Pair(
                old.name, old.title, old.protocol, old.share, new.share,
                lost[k], gained[k], p, tolerance, most, result,
            )
        )  # fmt: skip
    return tuple(found)


def can_drop(vector: Vector) -> bool:
    """Whether a baseline leaves room for a drop; a row without it needs no test, nor a correction for one."""
    return bool(vector.values.any())


def _largest_drop(old: Vector, new: Vector, lost: int, gained: int, alpha: float) -> float:
    if old.steps == 1:
        return largest_drop(lost, gained, len(old.values), alpha)
    return largest_mean_drop((old.values - new.values) / old.steps, alpha)


def _judged(drop: float, significant: bool | None, tolerance: float) -> Result:
    if drop > tolerance + 1e-9:
        return "failed" if significant else "undecided" if significant is None else "unproven"
    if drop > 0:
        return "tolerated"
    return "improved" if drop < 0 and significant else "same"


def _shown(drop: float, significant: bool) -> Result:
    if drop == 0:
        return "same"
    return ("lower" if drop > 0 else "higher") if significant else "unproven"
