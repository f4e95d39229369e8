"""The labels themselves (Chen et al. 2021, figure 1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...artifacts import LabelBank
from ...errors import VivavoceError
from ...train.labels.kinds import KINDS
from ...train.run import read_bank, read_config
from ..records import Record, Records
from .panels import bare, blocks, headline
from .selection import most_data, progress, unfit
from .style import Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

MOST = 10
"""Classes that are shown, where there are more."""
SIDE = 1.05
"""Inches of a label."""
RAMP = "magma"
SOUND = ("speech", "shuffled-speech")


def draw(records: Records, style: Style) -> Figure:
    """A picture of each class's label, a row a kind, and a block of rows a data set.

    Raises:
        VivavoceError: the study compares methods, whose labels are not made beforehand.
    """
    from matplotlib.figure import Figure

    if not records.plan.grid.label:
        raise unfit("labels", records, "this study's labels are learned, and none is made beforehand")
    banks: dict[str, dict[str, Record]] = {}
    for group in most_data(records):
        for kind, record in group.first.items():
            banks.setdefault(group.data, {}).setdefault(kind, record)
    rows = [len(kinds) for kinds in banks.values()]
    counts = {data: len(read_config(next(iter(k.values())).folder).classes) for data, k in banks.items()}
    columns = min(MOST, max(counts.values()))
    figure = Figure((1.9 + SIDE * columns, (SIDE + 0.12) * sum(rows) + 0.35 * len(rows)))
    parts = blocks(figure, list(banks), [n + 0.3 for n in rows])
    for part, kinds in zip(parts, banks.values(), strict=True):
        _block(part, kinds, columns, style)
    some = ", ".join(f"{MOST} of {n} classes of {d}" for d, n in counts.items() if n > MOST)
    sound = (
        "speech: time to the right, pitch upwards"
        if any(
            record.cell.voice or record.cell.label == SOUND[0]
            for k in banks.values()
            for record in k.values()
        )
        else ""
    )
    notes = [*([*banks] if len(banks) == 1 else []), "colours span each row from least (dark) to most", sound]
    headline(figure, "Labels", [*notes, some, progress(records)], style)
    return figure


def _block(block: SubFigure, kinds: dict[str, Record], columns: int, style: Style) -> None:
    panels = block.subplots(len(kinds), columns, squeeze=False)
    banks = {kind: _bank(kind, record) for kind, record in kinds.items()}
    classes = next(iter(banks.values())).classes
    chosen = _chosen(len(classes))
    for row, (kind, bank) in zip(panels, banks.items(), strict=True):
        for axes in row:
            bare(axes)
        for axes, k in zip(row, chosen, strict=False):
            _picture(axes, bank, k, style)
        row[0].set_ylabel(kind, rotation=0, ha="right", va="center", labelpad=10)
    for axes, k in zip(panels[0], chosen, strict=False):
        axes.set_title(_short(classes[k]), loc="center")


def _chosen(classes: int) -> list[int]:
    """Which classes are shown: all, or so many from the first to the last."""
    return [round(k) for k in np.linspace(0, classes - 1, min(classes, MOST))]


def _bank(kind: str, record: Record) -> LabelBank:
    bank = read_bank(record.folder)
    if bank is None and (kind not in KINDS or KINDS[kind].module):
        raise VivavoceError(
            f"{record.folder}: its bank.npz is gone; remove the folder and run the study again"
        )
    return bank or _one_hot(kind, record)


def _one_hot(kind: str, record: Record) -> LabelBank:
    """The rows that a model without a bank learns, as one."""
    config = read_config(record.folder)
    n, smoothing = len(config.classes), KINDS[kind].smoothing
    rows = np.eye(n) * (1 - smoothing) + (1 - np.eye(n)) * smoothing / (n - 1)
    return LabelBank(kind, rows.astype(np.float32), config.classes)


def _picture(axes: Axes, bank: LabelBank, k: int, style: Style) -> None:
    label, low, high = bank.labels[k], float(bank.labels.min()), float(bank.labels.max())
    if label.ndim == 2:
        origin = "lower" if bank.kind in SOUND else "upper"
        axes.imshow(label, RAMP, vmin=low, vmax=high, origin=origin, interpolation="nearest")
        return
    axes.bar(np.arange(len(label)), label, 1.0, color=style.look(bank.kind).colour, linewidth=0)
    axes.axhline(0, color=style.muted, linewidth=0.8)
    axes.set_ylim(min(low, 0), max(high, 0))
    axes.set_box_aspect(1)


def _short(name: str, room: int = 12) -> str:
    """A class's name, cut to stand over its column."""
    plain = name.replace("_", " ")
    return plain if len(plain) <= room else f"{plain[: room - 1]}…"
