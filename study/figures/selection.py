"""Which cells of a study a figure is drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...errors import VivavoceError
from ..cell import ALL
from ..records import Record, Records, grouped


@dataclass(frozen=True)
class Group:
    """Finished cells that differ only in what they compare and in the seed."""

    data: str
    encoder: str
    level: int
    kinds: dict[str, list[Record]]
    """By label kind or method, in the plan's order; of each, all seeds."""

    @property
    def name(self) -> str:
        """What they share."""
        level = "" if self.level == ALL else f", {self.level} % of the data"
        return f"{self.data}, {self.encoder}{level}"

    @property
    def first(self) -> dict[str, Record]:
        """One cell of each kind: that of the first seed."""
        return {kind: cells[0] for kind, cells in self.kinds.items()}


def groups(records: Records) -> list[Group]:
    """The finished cells by data set, encoder and data level, in the plan's order."""
    order = (*records.plan.grid.label, *records.plan.grid.method)
    found = []
    for (data, encoder, level), cells in grouped(records.finished, _shared):
        kinds = {kind: own for (kind,), own in grouped(cells, lambda r: (r.cell.kind,))}
        found.append(Group(data, encoder, level, {kind: kinds[kind] for kind in order if kind in kinds}))
    return found


def _shared(record: Record) -> tuple[str, str, int]:
    return record.cell.data, record.cell.encoder, record.cell.level


def most_data(records: Records) -> list[Group]:
    """Of each data set and encoder the group that was trained on most data."""
    found: dict[tuple[str, str], Group] = {}
    for group in groups(records):
        best = found.setdefault((group.data, group.encoder), group)
        if group.level > best.level:
            found[group.data, group.encoder] = group
    return list(found.values())


def kinds(drawn: Sequence[Group]) -> list[str]:
    """What is compared in any of the groups."""
    return list(dict.fromkeys(kind for group in drawn for kind in group.kinds))


def name(drawn: Sequence[Group]) -> str:
    """What all groups share, if there is but one; else each panel says its own."""
    return drawn[0].name if len(drawn) == 1 else ""


def seeds(drawn: Sequence[Group]) -> str:
    """How many there are of a kind, and what is drawn of them."""
    numbers = {len(cells) for group in drawn for cells in group.kinds.values()}
    low, high = min(numbers), max(numbers)
    if high == 1:
        return "1 seed"
    return f"mean and range of {high if low == high else f'{low} to {high}'} seeds"


def progress(records: Records) -> str:
    """How much of the study is drawn, while that is not all."""
    done, planned = len(records.finished), len(records.records)
    return f"{done} of {planned} cells finished" if done < planned else ""


def unfit(figure: str, records: Records, why: str) -> VivavoceError:
    """The error for a study that has not what a figure shows."""
    others = [other for other in records.plan.figures if other != figure]
    fitting = f"; figures of this study: {', '.join(others)}" if others else ""
    return VivavoceError(f"{figure}: {why}{fitting}")
