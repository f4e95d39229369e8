"""What figures are put together from: headings, legends, panels and their axes."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .style import Look, Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure


def headline(figure: Figure, title: str, notes: Sequence[str], style: Style) -> None:
    """Write a title above the figure, and below it in small what is drawn of what, but for empty notes."""
    from matplotlib.transforms import ScaledTranslation

    lines = textwrap.wrap("; ".join(filter(None, notes)), int(figure.get_figwidth() * 13.5))
    for text, up, size, weight, colour in (
        ("\n".join(lines), 8, 10, "normal", style.muted),
        (title, 14 + 12.5 * len(lines), 14, "bold", style.ink),
    ):
        place = figure.transFigure + ScaledTranslation(0, up / 72, figure.dpi_scale_trans)
        figure.text(
            0.005, 1, text, transform=place, va="bottom", fontsize=size, fontweight=weight, color=colour
        )


def legend(figure: Figure | SubFigure, entries: Sequence[tuple[str, Look]], lines: bool = True) -> None:
    """Name what is drawn, below the panels.

    Args:
        figure: to write under.
        entries: names and looks.
        lines: whether they are lines; else points.
    """
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [], [], color=look.colour, marker=look.marker, linestyle=look.dashes if lines else "", label=name
        )
        for name, look in entries
    ]
    room = figure.bbox.width / figure.figure.dpi
    widths = [(0.75 if lines else 0.45) + 0.09 * len(name) for name, _ in entries]
    columns = len(widths) if sum(widths) < room else max(1, int(room / max(widths)))
    columns = -(-len(handles) // -(-len(handles) // columns))
    # Matplotlib fills columns; rows are what is read.
    inrow = [handles[k] for column in range(columns) for k in range(column, len(handles), columns)]
    tight = {} if lines else {"handlelength": 0.8, "handletextpad": 0.5, "columnspacing": 1.3}
    figure.legend(handles=inrow, loc="outside lower center", ncols=columns, **tight)


def matrix(figure: Figure, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Axes]:
    """Panels in rows and columns, the figure made as large as several need.

    Args:
        figure: as large as one panel needs.
        keys: row and column of each panel.
    """
    rows, columns = (list(dict.fromkeys(names)) for names in zip(*keys, strict=True))
    if len(keys) > 1:
        figure.set_size_inches(max(6.5, 4.1 * len(columns)), 3.7 * len(rows) + 0.5)
    panels = figure.subplots(len(rows), len(columns), squeeze=False)
    found = {key: panels[rows.index(key[0]), columns.index(key[1])] for key in keys}
    for axes in panels.flat:
        if axes not in found.values():
            axes.remove()
    return found


def blocks(figure: Figure, names: Sequence[str], heights: Sequence[float]) -> list[SubFigure]:
    """Parts of a figure, one above the other; named where they are several.

    Args:
        figure: to divide.
        names: of the parts.
        heights: of the parts, in any unit.
    """
    parts = list(figure.subfigures(len(names), 1, squeeze=False, height_ratios=heights)[:, 0])
    if len(names) > 1:
        for part, name in zip(parts, names, strict=True):
            part.suptitle(name, x=0.005, ha="left", fontsize=11)
    return parts


def bare(axes: Axes) -> None:
    """Leave nothing of the axes but what is drawn in them."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    axes.spines[:].set_visible(False)


def shares(axes: Axes) -> None:
    """Write the heights, shares in 0..1, as per cent."""
    from matplotlib.ticker import PercentFormatter

    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))


def powers(axes: Axes) -> None:
    """Make heights logarithmic, written out."""
    from matplotlib.ticker import LogLocator, StrMethodFormatter

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.minorticks_off()


def epochs(axes: Axes) -> None:
    """Count epochs to the right."""
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
