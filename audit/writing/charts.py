"""Charts of a page, drawn from the data: bars where there is one epsilon, curves where there are more.

Their colours are the page's, light or dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from ...text import plain
from ..report import Clean, Report, Row
from ..sensitivity import curve
from .heat import only_shift
from .table import columns, titles

WIDE, HIGH = 280, 190
"""Size of a panel, in its own units."""
LEFT, RIGHT, TOP, BOTTOM = 34, 12, 10, 34
"""Margins around the plot."""


@dataclass(frozen=True)
class Bar:
    """One figure in per cent, with its 95 % interval."""

    name: str
    share: float
    low: float
    high: float
    near: float | None = None
    """Threshold accuracy in per cent; None: the model has no threshold."""

    @classmethod
    def of(cls, name: str, figure: Clean | Row, near: float | None) -> Bar:
        """The bar of one figure of a report, and of its threshold accuracy."""
        low, high = figure.interval
        return cls(
            plain(name), 100 * figure.accuracy, 100 * low, 100 * high, None if near is None else 100 * near
        )

    @property
    def figure(self) -> str:
        """The figure as text, followed by a stroke and the threshold accuracy if there is one."""
        text = f"{self.share:.1f}"
        return text if self.near is None else f"{text} | {self.near:.1f}"


def bars(report: Report) -> list[Bar]:
    """Clean accuracy, and what is left after each attack; empty if there are several epsilons."""
    shift = report.data.shifted
    found = [Bar.of("clean", report.clean, report.clean.threshold)]
    if only_shift(report) and shift is not None:
        row = report.rows[0]
        return [*found, Bar.of(shift.name, row, row.threshold_accuracy)]
    if report.protocol.natural or not single(report):
        return []
    for name, rows in zip(titles(report), columns(report).values(), strict=True):
        row = rows[report.protocol.epsilons[-1]]
        found.append(Bar.of(name, row, row.threshold_accuracy))
    return found


def single(report: Report) -> bool:
    """Whether there is at most one epsilon above zero."""
    return sum(epsilon > 0 for epsilon in report.protocol.epsilons) <= 1


def curves(report: Report) -> list[tuple[str, str]]:
    """A title and an SVG for each attack: accuracy against epsilon; empty if there is one epsilon.

    As in Chen et al. 2021, figure 3: solid for threshold decoding, dotted for nearest neighbour; a model on
    logits has one solid line. The band is the 95 % Wilson interval.
    """
    if report.protocol.natural or single(report):
        return []
    panels = [_panel(report, list(rows.values())) for rows in columns(report).values()]
    return list(zip(map(plain, titles(report)), panels, strict=True))


def _panel(report: Report, rows: list[Row]) -> str:
    clean, largest = report.clean, report.protocol.epsilons[-1]
    rows = [row for row in rows if row.epsilon > 0]
    x = [0.0, *(row.epsilon for row in rows)]
    accuracy = [clean.accuracy, *(row.accuracy for row in rows)]
    low, high = ([clean.interval[end], *(row.interval[end] for row in rows)] for end in (0, 1))
    parts = [_axes(report, largest)]
    exact, line = curve(report), None
    if exact:
        line = _points(exact.epsilons, exact.accuracy, largest)
        band = [(exact.epsilons, exact.high), (exact.epsilons, exact.low)]
    else:
        band = [(x, high), (x, low)]
    upper, lower = (_points(*ends, largest) for ends in band)
    band = upper + lower[::-1]
    parts.append(f'<polygon class="band" points="{_joined(band)}"/>')
    near = [clean.threshold, *(row.threshold_accuracy for row in rows)]
    both = [share for share in near if share is not None]
    dotted = len(both) == len(near)
    parts.append(_line(_points(x, accuracy, largest), "dotted" if dotted else "solid", line))
    if dotted:
        parts.append(_line(_points(x, both, largest), "solid"))
    return f'<svg viewBox="0 0 {WIDE} {HIGH}" aria-hidden="true">{"".join(parts)}</svg>'


def _points(x: Sequence[float], shares: Sequence[float], largest: float) -> list[tuple[float, float]]:
    wide, high = WIDE - LEFT - RIGHT, HIGH - TOP - BOTTOM
    return [(LEFT + wide * a / largest, TOP + high * (1 - b)) for a, b in zip(x, shares, strict=True)]


def _joined(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _line(
    points: Sequence[tuple[float, float]], kind: str, exact: Sequence[tuple[float, float]] | None = None
) -> str:
    """A line through points, or the exact line that goes through them."""
    dots = "".join(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="2.6"/>' for x, y in points)
    return f'<polyline class="line {kind}" points="{_joined(exact or points)}"/>{dots}'


def _axes(report: Report, largest: float) -> str:
    """The grid, its figures, and the name of the horizontal axis."""
    parts = []
    for share in (0.0, 0.5, 1.0):
        (left, y), (right, _) = _points([0, largest], [share, share], largest)
        parts.append(f'<line class="grid" x1="{left:.1f}" y1="{y:.1f}" x2="{right:.1f}" y2="{y:.1f}"/>')
        parts.append(_text(LEFT - 5, y + 3.5, "end", f"{100 * share:.0f}"))
    for place, anchor in ((0.0, "start"), (largest / 2, "middle"), (largest, "end")):
        ((x, y),) = _points([place], [0], largest)
        parts.append(_text(x, y + 13, anchor, report.protocol.written(place)))
    name = report.protocol.axis
    parts.append(_text((LEFT + WIDE - RIGHT) / 2, HIGH - 5, "middle", name))
    return "".join(parts)


def _text(x: float, y: float, anchor: str, text: str) -> str:
    return f'<text class="tick" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
