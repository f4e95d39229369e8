"""Compares two reports image by image: which figures dropped, and whether that could be chance."""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np

from ...documents import json_of
from ...errors import VivavoceError
from ..report import Report
from ..statistics import holm, largest_drop, largest_mean_drop, sign_test, smallest_drop
from .changes import Change, changes, same_threshold
from .limits import Limits
from .pairing import Vector, gradient_lost, refuse_mismatch, vectors

Result = Literal["failed", "unproven", "tolerated", "same", "improved", "lower", "higher"]


class Pair(msgspec.Struct, frozen=True):
    """One figure of both models, on n images."""

    name: str
    """Short name, as `--max-drop` takes it."""
    title: str
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
    could be chance; `tolerated`: by less; `improved`: significantly. In a comparison `lower` or `higher`:
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


class Ratio(msgspec.Struct, frozen=True):
    """A cost of both models."""

    name: str
    before: float
    after: float
    unit: str
    ratio: float
    """After to before. Latencies are compared in units of what a fixed network took on the same machine."""
    limit: float | None
    failed: bool

    @property
    def line(self) -> str:
        """The ratio in one line."""
        limit = f", limit x{self.limit:.2f}" if self.limit is not None else ""
        aside = " at the speed of the earlier machine" if self.unit == "ms" else ""
        figures = f"{self.before:.3g} to {self.after:.3g} {self.unit}"
        return f"{self.name} x{self.ratio:.2f} ({figures}{aside}{limit})"


class Comparison(msgspec.Struct, frozen=True):
    """The result of comparing a model with an earlier one."""

    gate: bool
    """Whether it judges (a check) or only shows (a comparison)."""
    before: str
    """File name of the earlier model."""
    after: str
    data: str
    n: int
    """Images."""
    alpha: float
    rows: tuple[Pair, ...]
    changes: tuple[Change, ...]
    ratios: tuple[Ratio, ...]
    agreement: float
    """Share of the clean images on which both decide for the same class."""
    smallest_drop: float | None
    """Smallest drop, as a share, that n images can show in one of the rows."""
    verdicts: tuple[str, str]
    """The verdicts of both audits."""

    @property
    def failures(self) -> tuple[str, ...]:
        """One line for everything that failed; empty: passed."""
        rows = [row.line for row in self.rows if row.result == "failed"]
        grave = [f"{c.name}: {c.meaning}" for c in self.changes if c.result == "failed"]
        costs = [ratio.line for ratio in self.ratios if ratio.failed]
        return (*rows, *grave, *costs)

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return not self.failures

    @property
    def unsettled(self) -> tuple[Pair, ...]:
        """Rows that did not fail, but may have dropped by more than their tolerance; the worst first."""
        rows = [row for row in self.rows if row.result != "failed" and row.largest_drop > row.tolerance]
        return tuple(sorted(rows, key=lambda row: row.tolerance - row.largest_drop))

    @property
    def resolution(self) -> str:
        """The smallest drop that could be seen, in words."""
        if self.smallest_drop is None:
            return f"{self.n} images are too few to show any drop in {len(self.rows)} rows"
        return f"the smallest drop that {self.n} images can show: {100 * self.smallest_drop:.1f} points"

    @property
    def summary(self) -> str:
        """One sentence."""
        if not self.gate:
            lower, higher = (sum(r.result == way for r in self.rows) for way in ("lower", "higher"))
            rows = f"{lower} of {len(self.rows)} rows lower, {higher} higher"
            return f"{self.after} against {self.before}: {rows}"
        if self.passed and self.smallest_drop is None:
            return f"no regression found, but {self.resolution}"
        if self.passed:
            return f"no regression: {self.after} passes in all {len(self.rows)} rows"
        dropped = [row for row in self.rows if row.result == "failed"]
        parts = [f"{c.name}: {c.meaning}" for c in self.changes if c.result == "failed"]
        parts += [ratio.line for ratio in self.ratios if ratio.failed]
        if dropped:
            worst = min(dropped, key=lambda row: row.points)
            parts.insert(0, f"{len(dropped)} of {len(self.rows)} rows dropped, most of all {worst.line}")
        return f"regression: {'; '.join(parts)}"

    def to_json(self) -> bytes:
        """Everything as indented JSON, with `passed`, `summary` and the names of the rows in `unsettled`."""
        whole = {
            "passed": self.passed,
            "summary": self.summary,
            "unsettled": [row.name for row in self.unsettled],
        } | msgspec.structs.asdict(self)
        return json_of(whole)


def compare_reports(
    before: Report, after: Report, limits: Limits | None = None, gate: bool = True
) -> Comparison:
    """Compare two reports on the same images under the same protocol.

    Args:
        before: the baseline.
        after: the new one.
        limits: what passes; None: the defaults.
        gate: judge by the limits with one-sided tests; otherwise show differences with two-sided ones.

    Raises:
        VivavoceError: images or protocol differ, a report is damaged, or a limit names no row.
    """
    limits = limits or Limits()
    old, new = vectors(before), vectors(after)
    refuse_mismatch(before, after)
    names = [name for name in old if name in new]
    if gradient_lost(before, after):
        names = [name for name in names if name.startswith("clean")]
    if not same_threshold(before, after):
        names = [name for name in names if not name.endswith("/threshold")]
    limits.check_patterns(old)
    tested = sum(can_drop(old[name]) for name in names) if gate else len(names)
    decisions = [np.array([image.clean for image in report.images]) for report in (before, after)]
    return Comparison(
        gate=gate,
        before=before.model.file,
        after=after.model.file,
        data=before.data.name,
        n=before.data.n,
        alpha=limits.alpha,
        rows=pair_up([(old[name], new[name]) for name in names], limits, gate),
        changes=tuple(changes(before, after)),
        ratios=tuple(_ratios(before, after, limits)),
        agreement=float((decisions[0] == decisions[1]).mean()),
        smallest_drop=smallest_drop(before.data.n, max(tested, 1), limits.alpha),
        verdicts=(before.verdict, after.verdict),
    )


def pair_up(pairs: list[tuple[Vector, Vector]], limits: Limits, gate: bool = True) -> tuple[Pair, ...]:
    """Test every pair of outcome vectors, with a correction for multiple tests."""
    lost = [int((new.values < old.values).sum()) for old, new in pairs]
    gained = [int((new.values > old.values).sum()) for old, new in pairs]
    drops = [sign_test(*counts) for counts in zip(lost, gained, strict=True)]
    gains = [sign_test(*counts) for counts in zip(gained, lost, strict=True)]
    if not gate:
        drops = gains = [min(1.0, 2 * min(both)) for both in zip(drops, gains, strict=True)]
    tested = [not gate or can_drop(old) for old, _ in pairs]
    corrected = iter(holm([p for p, can in zip(drops, tested, strict=True) if can]))
    drops, gains = [next(corrected) if can else 1.0 for can in tested], holm(gains)
    found = []
    for k, (old, new) in enumerate(pairs):
        p = gains[k] if gained[k] > lost[k] else drops[k]
        tolerance = limits.tolerance(old.name) if gate else 0.0
        points = 100 * (old.share - new.share)
        judge = _judged if gate else _shown
        result = judge(points, p <= limits.alpha, tolerance)
        most = 100 * _largest_drop(old, new, lost[k], gained[k], limits.alpha)
        row = Pair(old.name, old.title, old.share, new.share, lost[k], gained[k], p, tolerance, most, result)
        found.append(row)
    return tuple(found)


def can_drop(vector: Vector) -> bool:
    """Whether a baseline leaves room for a drop; a row without it needs no test, nor a correction for one."""
    return bool(vector.values.any())


def _largest_drop(old: Vector, new: Vector, lost: int, gained: int, alpha: float) -> float:
    if old.steps == 1:
        return largest_drop(lost, gained, len(old.values), alpha)
    return largest_mean_drop((old.values - new.values) / old.steps, alpha)


def _judged(drop: float, significant: bool, tolerance: float) -> Result:
    if drop > tolerance + 1e-9:
        return "failed" if significant else "unproven"
    if drop > 0:
        return "tolerated"
    return "improved" if drop < 0 and significant else "same"


def _shown(drop: float, significant: bool, _: float) -> Result:
    if drop == 0:
        return "same"
    return ("lower" if drop > 0 else "higher") if significant else "unproven"


def _ratios(before: Report, after: Report, limits: Limits) -> list[Ratio]:
    """Size and latency, where both reports know them."""
    found = []
    if before.model.size and after.model.size:
        sizes = before.model.size / 1e6, after.model.size / 1e6
        found.append(_ratio("file size", *sizes, "MB", sizes[1] / sizes[0], limits.max_size))
    if before.speed and after.speed:
        ratio = after.speed.relative / before.speed.relative
        old = before.speed.milliseconds
        found.append(_ratio("latency", old, old * ratio, "ms", ratio, limits.max_latency))
    known = {ratio.name for ratio in found}
    for name, limit in (("file size", limits.max_size), ("latency", limits.max_latency)):
        if limit is not None and name not in known:
            raise VivavoceError(f"the baseline records no {name}; recreate it with --update")
    return found


def _ratio(name: str, before: float, after: float, unit: str, ratio: float, limit: float | None) -> Ratio:
    failed = limit is not None and ratio > limit
    return Ratio(name, before, after, unit, ratio, limit, failed)
