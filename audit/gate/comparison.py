"""Compares two reports image by image: which figures dropped, and whether that could be chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec
import numpy as np

from ...documents import json_of
from ...errors import VivavoceError
from ..report import Report
from ..statistics import smallest_drop
from .changes import Change, changes
from .ending import Ended, Ending
from .limits import Limits
from .matching import Side, figures, matched, names_of, verdict
from .rows import Pair, can_drop, pair_up


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
    """The verdicts of both audits, of each protocol."""
    ended: tuple[Ended, ...] = ()
    """The protocols whose attacks ended early, because their answer was decided."""

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
    def planned(self) -> int:
        """Images of the baseline."""
        return self.ended[0].planned if self.ended else self.n

    @property
    def resolution(self) -> str:
        """The smallest drop that could be seen, in words."""
        if self.smallest_drop is None:
            return f"{self.planned} images are too few to show any drop in {len(self.rows)} rows"
        return f"the smallest drop that {self.planned} images can show: {100 * self.smallest_drop:.1f} points"

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
            return f"no regression: {self.after} passes in all {len(self.rows)} rows{self._early}"
        dropped = [row for row in self.rows if row.result == "failed"]
        parts = [f"{c.name}: {c.meaning}" for c in self.changes if c.result == "failed"]
        parts += [ratio.line for ratio in self.ratios if ratio.failed]
        if dropped:
            worst = min(dropped, key=lambda row: row.points)
            parts.insert(0, f"{len(dropped)} of {len(self.rows)} rows dropped, most of all {worst.line}")
        return f"regression: {'; '.join(parts)}{self._early}"

    @property
    def _early(self) -> str:
        """After how many images, for a sentence; empty if all were needed."""
        if len(self.ended) == 1 and len({row.protocol for row in self.rows if row.protocol}) == 1:
            return f", {self.ended[0].line}"
        lines = [f"{ended.protocol} {ended.line}" for ended in self.ended]
        return f" ({'; '.join(lines)})" if lines else ""

    def to_json(self) -> bytes:
        """Everything as indented JSON, with `passed`, `summary` and the names of the rows in `unsettled`."""
        whole = {
            "passed": self.passed,
            "summary": self.summary,
            "unsettled": [row.name for row in self.unsettled],
        } | msgspec.structs.asdict(self)
        return json_of(whole)


def compare_reports(
    before: Report,
    after: Report,
    limits: Limits | None = None,
    gate: bool = True,
    endings: Sequence[Ending] = (),
) -> Comparison:
    """Compare two reports on the same images under the same protocols.

    Args:
        before: the baseline.
        after: the new one.
        limits: what passes; None: the defaults.
        gate: judge by the limits with one-sided tests; otherwise show differences with two-sided ones.
        endings: what watched the attacks of the new report; where they ended early, their decision counts.

    Raises:
        VivavoceError: images or protocol differ, a report is damaged, or a limit names no row.
    """
    limits = limits or Limits()
    sides = matched(before, after, ended=bool(endings))
    limits.check_patterns(names_of(before))
    pairs, all_images = figures(sides), figures([replace(side, before=side.whole) for side in sides])
    tested = {old.name for old, _ in all_images if not gate or can_drop(old)}
    decided = _decided(sides, endings)
    first = sides[0].before, sides[0].after
    decisions = [np.array([image.clean for image in report.images]) for report in first]
    return Comparison(
        gate=gate,
        before=before.model.file,
        after=after.model.file,
        data=before.data.name,
        n=first[0].data.n,
        alpha=limits.alpha,
        rows=pair_up(pairs, limits, gate, tested, decided),
        changes=tuple(changes([(side.label, side.before, side.after) for side in sides])),
        ratios=tuple(_ratios(before, after, limits)),
        agreement=float((decisions[0] == decisions[1]).mean()),
        smallest_drop=smallest_drop(before.data.n, max(len(tested), 1), limits.alpha),
        verdicts=(verdict(before), verdict(after)),
        ended=tuple(ending.ended for ending in endings if ending.ended),
    )


def _decided(sides: Sequence[Side], endings: Sequence[Ending]) -> dict[str, bool | None]:
    """Whether rows failed, of the protocols that ended early; None: not decided."""
    found: dict[str, bool | None] = {}
    for side, ending in zip(sides, endings, strict=False):
        found |= ending.results([old.name for old, _ in figures([side])])
    return found


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
