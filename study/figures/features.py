"""The encoder's features through training, mapped to the plane (Chen et al. 2021, figures 5 and 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...console import progress_bar
from ...errors import VivavoceError
from ...train.model import Classifier
from ...train.run import load_snapshot, load_trained, read_config, snapshot
from ..records import Record, Records
from .embedding import encode, place
from .panels import bare, blocks, headline, legend
from .sampling import Sample, sample
from .selection import most_data, name, progress, unfit
from .style import Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

IMAGES, CLASSES = 500, 10
"""How many test images at most, and of how many classes at most."""
SIDE = 2.1
"""Inches of a panel."""


def draw(records: Records, style: Style) -> Figure:
    """t-SNE of the encoder's outputs: a column an epoch whose weights were kept, and the end; a row a kind.

    Raises:
        VivavoceError: no weights were kept through training.
    """
    from matplotlib.figure import Figure

    shares = records.plan.snapshots
    if not shares:
        raise unfit(
            "features",
            records,
            "no weights were kept through training; set `snapshots` in its plan, such as [0.1, 0.5, 1.0]",
        )
    drawn = most_data(records)
    # The end is the best epoch; where that is the last of all, it is drawn already.
    every = [record for group in drawn for record in group.first.values()]
    ended = shares[-1] == 1 and all(_ended_last(record) for record in every)
    for record in every:
        _epochs(record, shares)
    columns = len(shares) + (not ended)
    figure = Figure((1.3 + SIDE * columns, SIDE * len(every) + 0.4 * len(drawn) + 0.8))
    parts = blocks(figure, [group.name for group in drawn], [len(group.kinds) + 0.2 for group in drawn])
    sampled = [sample(next(iter(group.first.values())), IMAGES, CLASSES) for group in drawn]
    with progress_bar() as bar:
        task = bar.add_task("t-SNE", total=columns * len(every), note="")
        for part, group, images in zip(parts, drawn, sampled, strict=True):
            panels = _panels(part, len(group.kinds), shares, ended)
            for row, (kind, record) in zip(panels, group.first.items(), strict=True):
                row[0].set_ylabel(kind, rotation=0, ha="right", va="center", labelpad=10)
                for axes, model in zip(row, _models(record, shares, ended), strict=True):
                    _scatter(axes, place(encode(model, images.images)), images, style)
                    bar.advance(task)
    _name_classes(figure, parts, sampled, style)
    many = max(len(images.labels) for images in sampled)
    what = f"t-SNE of the encoder's outputs on {many} test images"
    headline(figure, "Features through training", [name(drawn), what, progress(records)], style)
    return figure


def _name_classes(figure: Figure, parts: list[SubFigure], sampled: list[Sample], style: Style) -> None:
    """Once where all data sets have the same classes; else below each block."""
    alike = len({images.classes for images in sampled}) == 1
    for where, images in [(figure, sampled[0])] if alike else zip(parts, sampled, strict=True):
        looks = style.several(len(images.classes))
        legend(where, list(zip(images.classes, looks, strict=True)), lines=False)


def _ended_last(record: Record) -> bool:
    return record.result is not None and record.result.best_epoch == record.result.epochs


def _panels(block: SubFigure, rows: int, shares: tuple[float, ...], ended: bool) -> np.ndarray:
    titles = [f"{100 * share:g} % of training" for share in shares] + ([] if ended else ["best epoch"])
    panels = block.subplots(rows, len(titles), squeeze=False)
    for axes, title in zip(panels[0], titles, strict=True):
        axes.set_title(title, loc="center")
    return panels


def _epochs(record: Record, shares: tuple[float, ...]) -> list[int]:
    """After which epochs the weights were kept.

    Raises:
        VivavoceError: they were, and are no longer there.
    """
    total = read_config(record.folder).recipe.epochs
    epochs = [max(1, round(share * total)) for share in shares]
    for epoch in epochs:
        if not (path := snapshot(record.folder, epoch)).exists():
            raise VivavoceError(
                f"{path}: these weights are gone; remove the cell's folder and run the study again"
            )
    return epochs


def _models(record: Record, shares: tuple[float, ...], ended: bool) -> list[Classifier]:
    """The network at every share of its training, and at its end."""
    kept = [load_snapshot(record.folder, epoch) for epoch in _epochs(record, shares)]
    return kept if ended else [*kept, load_trained(record.folder)[2]]


def _scatter(axes: Axes, places: np.ndarray, images: Sample, style: Style) -> None:
    for k, look in enumerate(style.several(len(images.classes))):
        own = places[images.labels == k]
        axes.plot(*own.T, look.marker, color=look.colour, markersize=3.2, alpha=0.85)
    bare(axes)
    axes.spines[:].set(visible=True, color=style.muted, alpha=0.4)
    axes.set_box_aspect(1)
