"""Changes without an adversary as a heat map of kinds and severities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from ..natural.heat import Line, grouped, lines, mean_accuracy
from ..natural.shift import SHIFTED
from ..report import Report

LEGEND = "cells: accuracy on the changed images, % of all images, by severity; the darker, the lower"
DARK = (222, 90, 70)
"""The colour of accuracy 0; white is the clean accuracy."""


def only_shift(report: Report) -> bool:
    """Whether there is nothing but a comparison of two sets, which needs no map."""
    return {row.attack for row in report.rows} == {SHIFTED}


def severities(report: Report) -> list[int]:
    """The columns."""
    return sorted({int(row.epsilon) for row in report.rows})


def figures(report: Report, line: Line) -> list[str]:
    """The accuracies of a kind in per cent; empty where it has no such severity."""
    return [
        f"{100 * line.rows[severity].accuracy:.1f}" if severity in line.rows else ""
        for severity in severities(report)
    ]


def loss(report: Report, accuracy: float) -> float:
    """Which share of the clean accuracy is gone, in 0..1."""
    return min(max(1 - accuracy / max(report.clean.accuracy, 1e-9), 0.0), 1.0)


def table(report: Report) -> Table:
    """The heat map for a terminal."""
    found = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    found.add_column("change", no_wrap=True)
    for name in (*map(str, severities(report)), "mean"):
        found.add_column(name, justify="right", no_wrap=True)
    for heading, kinds in grouped(report.rows):
        found.add_row(Text(heading, style="bold"))
        for line in kinds:
            found.add_row(f"  {line.kind}", *(_coloured(report, *cell) for cell in _cells(report, line)))
    if len(lines(report.rows)) > 1:
        mean = mean_accuracy(report.rows, report.data.n)
        blank = [""] * len(severities(report))
        found.add_row(Text(mean.of, style="bold"), *blank, Text(f"{100 * mean.accuracy:.1f}", style="bold"))
    return found


def _cells(report: Report, line: Line) -> Iterator[tuple[str, float | None]]:
    """The text of every cell, and the accuracy behind it."""
    for severity, text in zip(severities(report), figures(report, line), strict=True):
        yield text, line.rows[severity].accuracy if text else None
    yield f"{100 * line.mean:.1f}", line.mean


def _coloured(report: Report, text: str, accuracy: float | None) -> Text:
    if accuracy is None:
        return Text("")
    share = loss(report, accuracy)
    colour = ",".join(f"{255 + share * (dark - 255):.0f}" for dark in DARK)
    return Text(text, style=f"black on rgb({colour})")


@dataclass(frozen=True)
class Cell:
    """One cell of a page."""

    text: str
    alpha: float
    """How opaque its colour is, in 0..1."""


def page_cells(report: Report) -> list[tuple[str, list[tuple[str, list[Cell]]]]]:
    """Headings, with kinds and their cells."""
    return [
        (heading, [(line.kind, _page_line(report, line)) for line in kinds])
        for heading, kinds in grouped(report.rows)
    ]


def _page_line(report: Report, line: Line) -> list[Cell]:
    return [
        Cell(text, 0.0 if accuracy is None else 0.75 * loss(report, accuracy))
        for text, accuracy in _cells(report, line)
    ]


def size(report: Report) -> tuple[float, float]:
    """Width and height of the heat map in inches."""
    return 1.9 + 0.62 * (len(severities(report)) + 1), 1.3 + 0.24 * len(lines(report.rows))


def draw(figure, report: Report) -> None:
    """The heat map on a figure of matplotlib."""
    from matplotlib.colors import LinearSegmentedColormap

    found, columns = lines(report.rows), severities(report)
    panel = figure.subplots()
    cells = [list(_cells(report, line)) for line in found]
    shares = [
        [float("nan") if accuracy is None else loss(report, accuracy) for _, accuracy in line]
        for line in cells
    ]
    colours = LinearSegmentedColormap.from_list("loss", ["#ffffff", f"#{bytes(DARK).hex()}"])
    panel.imshow(shares, cmap=colours, vmin=0, vmax=1, aspect="auto")
    for y, line in enumerate(cells):
        for x, (text, _) in enumerate(line):
            panel.text(x, y, text, ha="center", va="center", fontsize=8)
    panel.set_xticks(range(len(columns) + 1), [*map(str, columns), "mean"])
    panel.set_yticks(range(len(found)), [line.kind for line in found], fontsize=9)
    panel.set_xlabel(f"severity; accuracy in %, clean {100 * report.clean.accuracy:.1f}")
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)
    for y in range(1, len(found)):
        if found[y].group != found[y - 1].group:
            panel.axhline(y - 0.5, color="#8a8a8a", lw=0.8)
