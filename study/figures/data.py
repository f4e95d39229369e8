"""Test accuracy against the amount of data (Chen et al. 2021, figure 4)."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from ..records import Record, Records
from .panels import headline, legend, matrix, shares
from .selection import groups, kinds, progress, seeds, unfit
from .style import Look, Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ONE = "this study has one data level; give its grid several in `level`"
UNFINISHED = "only one data level has finished cells; continue with `vivavoce study run`"


def draw(records: Records, style: Style) -> Figure:
    """Nearest-neighbour (or arg-max) test accuracy by data level: mean and range over seeds, every run a dot.

    A panel for each data set and encoder.

    Raises:
        VivavoceError: the finished cells have one data level.
    """
    from matplotlib.figure import Figure

    drawn = groups(records)
    if len({group.level for group in drawn}) < 2:
        several = len(records.plan.grid.level) > 1
        raise unfit("data", records, UNFINISHED if several else ONE)
    points: dict[tuple[str, str], dict[str, dict[int, list[float]]]] = {}
    for group in drawn:
        lines = points.setdefault((group.data, group.encoder), {})
        for kind, cells in group.kinds.items():
            lines.setdefault(kind, {})[group.level] = [_accuracy(cell) for cell in cells]
    figure, looks = Figure((6.5, 4.3)), style.looks(kinds(drawn))
    for panel, axes in matrix(figure, list(points)).items():
        for kind, line in points[panel].items():
            _line(axes, line, looks[kind])
        _axes(axes, sorted({level for line in points[panel].values() for level in line}))
        axes.set_title(", ".join(panel) if len(points) > 1 else "")
    legend(figure, list(looks.items()))
    one = ", ".join(next(iter(points))) if len(points) == 1 else ""
    notes = [one, f"line and band: {seeds(drawn)}", "points: every run", progress(records)]
    headline(figure, "Test accuracy by amount of data", notes, style)
    return figure


def _accuracy(cell: Record) -> float:
    assert cell.result is not None
    return cell.result.accuracy["test"]


def _line(axes: Axes, points: dict[int, list[float]], look: Look) -> None:
    levels = sorted(points)
    every = [points[level] for level in levels]
    low, high = [min(values) for values in every], [max(values) for values in every]
    axes.fill_between(levels, low, high, color=look.colour, alpha=0.12, linewidth=0)
    axes.plot(levels, [*map(statistics.fmean, every)], color=look.colour)
    dots = [(level, value) for level in levels for value in points[level]]
    axes.plot(*zip(*dots, strict=True), look.marker, color=look.colour, alpha=0.75)


def _axes(axes: Axes, levels: list[int]) -> None:
    axes.set_xscale("log")
    axes.set_xticks(levels, [f"{level} %" for level in levels])
    axes.minorticks_off()
    axes.set_xlabel("share of the training images")
    shares(axes)
