"""Test accuracy epoch by epoch (Yu & Verma, figure 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...train.learned.metrics import best
from ..methods import BASELINE
from ..records import Records
from .curves import history, line, plain
from .panels import epochs, headline, legend, matrix, shares
from .selection import groups, kinds, name, progress, seeds, unfit
from .style import Style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(records: Records, style: Style, train_mode: bool = False) -> Figure:
    """Mean and range over seeds, and the baseline's best (mean over its seeds) as a dotted line.

    A panel for each data set, encoder and data level.

    Args:
        records: the study.
        style: light or dark.
        train_mode: take the network judged in training mode, as the authors' code does.

    Raises:
        VivavoceError: the study compares labels, not methods.
    """
    from matplotlib.figure import Figure

    if not records.plan.grid.method:
        raise unfit(
            "learned-curves",
            records,
            "this study compares labels and is not judged on the test images after every epoch; take one of "
            "methods, such as lwal-speed",
        )
    drawn, judged = groups(records), "test_accuracy_train_mode" if train_mode else "test_accuracy"
    figure = Figure((7.5, 4.4))
    places = matrix(figure, [(f"{group.data} {group.level}", group.encoder) for group in drawn])
    for group, axes in zip(drawn, places.values(), strict=True):
        for method, cells in group.kinds.items():
            values, look = history(cells, judged), style.look(method)
            line(axes, values, look)
            if method == BASELINE:
                reached = sum(best(list(row)) for row in values) / len(values)
                axes.axhline(reached, color=look.colour, linewidth=1.2, linestyle=":")
        shares(axes)
        epochs(axes)
        axes.set_title(group.name if len(drawn) > 1 else "")
    legend(figure, [(method, plain(style.look(method))) for method in kinds(drawn)])
    mode = "network in training mode" if train_mode else "network in inference mode"
    notes = [name(drawn), seeds(drawn), f"dotted: {BASELINE}'s best", mode, progress(records)]
    headline(figure, "Test accuracy through training", notes, style)
    return figure


def draw_train_mode(records: Records, style: Style) -> Figure:
    """The same with the network judged in training mode."""
    return draw(records, style, train_mode=True)
