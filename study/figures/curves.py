"""How training went (Chen et al. 2021, figure 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..records import Record, Records
from .panels import epochs, headline, legend, powers, shares
from .selection import groups, kinds, name, progress, seeds
from .style import Look, Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(records: Records, style: Style) -> Figure:
    """Training loss and validation accuracy after each epoch, mean and range over seeds; a row a group."""
    from matplotlib.figure import Figure

    drawn = groups(records)
    figure = Figure((10, 3.4 * len(drawn) + 0.6))
    panels = figure.subplots(len(drawn), 2, squeeze=False)
    looks = style.looks(kinds(drawn))
    for (loss, accuracy), group in zip(panels, drawn, strict=True):
        for kind, cells in group.kinds.items():
            line(loss, history(cells, "train_loss"), looks[kind])
            line(accuracy, history(cells, "validation_accuracy"), looks[kind])
        powers(loss)
        shares(accuracy)
        prefix = f"{group.name}: " if len(drawn) > 1 else ""
        loss.set_title(f"{prefix}training loss")
        accuracy.set_title("validation accuracy")
    for axes in panels.flat:
        epochs(axes)
    legend(figure, [(kind, plain(look)) for kind, look in looks.items()])
    notes = [name(drawn), seeds(drawn), "a loss is in the units of its label, so compare shapes"]
    headline(figure, "Training", [*notes, progress(records)], style)
    return figure


def history(cells: list[Record], figure: str) -> np.ndarray:
    """A figure of every epoch, float64 [seeds, E]; E is the fewest epochs of any."""
    rows = [[getattr(epoch, figure) for epoch in cell.history] for cell in cells]
    shortest = min(len(row) for row in rows)
    return np.array([row[:shortest] for row in rows], float)


def line(axes: Axes, values: np.ndarray, look: Look) -> None:
    """Draw the mean over seeds of values [seeds, E], and their range as a band."""
    x = np.arange(1, values.shape[1] + 1)
    axes.plot(x, values.mean(0), look.dashes, color=look.colour)
    if len(values) > 1:
        axes.fill_between(x, values.min(0), values.max(0), color=look.colour, alpha=0.15, linewidth=0)


def plain(look: Look) -> Look:
    """The same without a marker, for curves of many points."""
    return Look(look.colour, "", look.dashes)
