"""Tables of a study of labels: how fast each is learned, the labels themselves, and runs to distrust."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from ..text import markdown as escape
from ..train.labels.statistics import closest_pair, consistent
from ..train.learned.metrics import first_reaching
from ..train.run import read_bank
from .records import Record, grouped
from .writing import head, line, model


def epochs_to(record: Record, accuracy: float) -> int | None:
    """The first epoch whose validation accuracy is at least `accuracy`; None: it never is."""
    return first_reaching([epoch.validation_accuracy for epoch in record.history], accuracy)


def speed(records: Sequence[Record], reach: Sequence[float]) -> str:
    """Epochs until each validation accuracy is reached, over the seeds that reach it, and how many do.

    A row a data set, encoder, label and amount of data; a column an accuracy.
    """
    lines = head(["data set", "encoder", "label", "data", *(f"{100 * level:g} %" for level in reach)])
    for names, group in grouped(records, model):
        lines.append(line([*names, *(_epochs(group, level) for level in reach)]))
    return "\n".join(lines)


def _epochs(records: Sequence[Record], accuracy: float) -> str:
    found = [epoch for record in records if (epoch := epochs_to(record, accuracy)) is not None]
    if not found:
        return "never"
    spread = f" ± {statistics.stdev(found):.1f}" if len(found) > 1 else ""
    some = "" if len(found) == len(records) else f" ({len(found)} of {len(records)} seeds)"
    return f"{statistics.fmean(found):.1f}{spread}{some}"


def measured(records: Sequence[Record]) -> str | None:
    """Entropy of the labels and distances between them, a row a data set and label; None without banks.

    Labels of all kinds are scaled to 0..1 (see `labels.statistics.consistent`), except for the closest pair.
    """
    lines = head(["data set", "label", "entropy, bits", "L1", "L2", "closest pair by smooth L1"])
    empty = len(lines)
    for (data, kind), group in grouped(records, lambda r: (r.cell.data, r.cell.kind)):
        if bank := read_bank(group[0].folder):
            found, pair = consistent(bank.labels), closest_pair(bank)
            nearest = f"{pair.first}, {pair.second}: {pair.loss:.2f}"
            lines.append(line([data, kind, str(found.entropy), str(found.l1), str(found.l2), nearest]))
    return "\n".join(lines) if len(lines) > empty else None


def distrusted(records: Sequence[Record]) -> str | None:
    """The runs that should not be compared with others, with the reason; None: all may be."""
    found = [(record.cell.name, record.doubt) for record in records]
    return "\n".join(f"- {escape(name)}: {escape(why)}" for name, why in found if why) or None
