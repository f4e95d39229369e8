"""Every run of a study as a point: accuracy, accuracy under attack, and how fast it was learned."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from ..labelled import epochs_to
from ..records import Record, Records
from .panels import headline, legend
from .selection import Group, groups, kinds, name, progress
from .style import Look, Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Measure = tuple[str, Callable[[Record], float | None]]
"""What is written under a column, and the value of a run; None: it has none."""


def draw(records: Records, style: Style) -> Figure:
    """A column a measure, a row of panels a group of cells, in each a line a kind."""
    from matplotlib.figure import Figure

    drawn, columns = groups(records), measures(records)
    heights, looks = [len(group.kinds) for group in drawn], style.looks(kinds(drawn))
    figure = Figure((max(6.5, 2.5 * len(columns) + 1.6), 0.34 * sum(heights) + 0.9 * len(drawn) + 0.5))
    shape = {"sharex": "col", "height_ratios": heights, "squeeze": False}
    panels = figure.subplots(len(drawn), len(columns), **shape)
    for row, group in zip(panels, drawn, strict=True):
        for axes, (_, measure) in zip(row, columns, strict=True):
            _panel(axes, group, measure, looks)
            axes.set_yticklabels([])
        row[0].set_yticks(range(len(group.kinds)), list(group.kinds))
        row[0].set_title(group.name if len(drawn) > 1 else "")
    for axes, (title, _) in zip(panels[-1], columns, strict=True):
        axes.set_xlabel(title)
    distrusted = any(record.doubt for record in records.finished)
    if distrusted:
        legend(figure, [("run not to compare (see the table)", Look(style.muted, "x"))], lines=False)
    notes = [name(drawn), "points: every run; line: mean and standard deviation", _counts(drawn)]
    headline(figure, "Every run", [*notes, progress(records)], style)
    return figure


def measures(records: Records) -> list[Measure]:
    """What the study measured: test accuracy, accuracy under attack, epochs to each level that is reached."""
    found: list[Measure] = [("test accuracy, %", _test)]
    audits = dict.fromkeys(audit.name or audit.protocol for audit in records.plan.audit)
    for audit in audits:
        reports = [record.reports[audit] for record in records.finished if audit in record.reports]
        for epsilon in sorted({row.epsilon for report in reports for row in report.rows}):
            found.append((f"{audit}, epsilon {epsilon:.3g}, %", _withstands(audit, epsilon)))
    for level in records.plan.reach:
        if any(epochs_to(record, level) for record in records.finished):
            found.append((f"epochs to {100 * level:g} %", partial(epochs_to, accuracy=level)))
    return found


def _test(record: Record) -> float:
    assert record.result is not None
    return 100 * record.result.accuracy["test"]


def _withstands(audit: str, epsilon: float) -> Callable[[Record], float | None]:
    """Accuracy under the attack of the audit that leaves least; in an ensemble that is the last."""

    def value(record: Record) -> float | None:
        rows = record.reports[audit].rows if audit in record.reports else ()
        left = [row.accuracy for row in rows if row.epsilon == epsilon]
        return 100 * min(left) if left else None

    return value


def _panel(
    axes: Axes, group: Group, measure: Callable[[Record], float | None], looks: dict[str, Look]
) -> None:
    for place, (kind, cells) in enumerate(group.kinds.items()):
        found = [(value, cell.doubt) for cell in cells if (value := measure(cell)) is not None]
        for sound in (True, False):
            values = [value for value, doubt in found if (doubt is None) == sound]
            marker, edge = (looks[kind].marker, 0.0) if sound else ("x", 1.5)
            height = [place] * len(values)
            axes.plot(values, height, marker, color=looks[kind].colour, alpha=0.6, markeredgewidth=edge)
        _mean(axes, [value for value, _ in found], place, looks[kind])
    axes.set_ylim(len(group.kinds) - 0.5, -0.5)
    axes.set_yticks(range(len(group.kinds)))


def _mean(axes: Axes, values: Sequence[float], place: int, look: Look) -> None:
    if len(values) < 2:
        return
    mean, deviation = statistics.fmean(values), statistics.stdev(values)
    axes.plot([mean - deviation, mean + deviation], [place, place], color=look.colour, linewidth=1.2)
    axes.plot([mean], [place], "|", color=look.colour, markersize=14, markeredgewidth=2)


def _counts(drawn: Sequence[Group]) -> str:
    numbers = {len(cells) for group in drawn for cells in group.kinds.values()}
    low, high = min(numbers), max(numbers)
    return f"{low if low == high else f'{low} to {high}'} seed{'s' * (high > 1)}"
