"""What a study's folder holds: its plan, and of every cell how it stands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..audit.report import Report, load_report
from ..documents import parse_json, read_json
from ..errors import VivavoceError
from ..files import read_text
from ..train.doubts import doubt
from ..train.epoch import Epoch
from ..train.run import read_config
from .cell import Cell, Failure, Result, read_failure, read_result
from .plan import Plan

PLAN, CELLS = "study.json", "cells"


@dataclass(frozen=True)
class Record:
    """One cell and its folder, which is also the folder of its training run."""

    cell: Cell
    folder: Path

    @property
    def result(self) -> Result | None:
        """None while it is not finished."""
        return read_result(self.folder)

    @property
    def failure(self) -> Failure | None:
        """None if it did not fail."""
        return read_failure(self.folder)

    @cached_property
    def history(self) -> list[Epoch]:
        """Its epochs so far."""
        path = self.folder / "history.jsonl"
        lines = read_text(path).splitlines() if path.exists() else []
        return [parse_json(line, Epoch, str(path), "the figures of a run") for line in lines]

    @property
    def doubt(self) -> str | None:
        """Why its figures should not be compared with those of other cells; None: no reason."""
        return doubt(self.history, len(read_config(self.folder).classes)) if self.history else None

    @cached_property
    def reports(self) -> dict[str, Report]:
        """The audits that are done, by name."""
        named = {audit.name or audit.protocol: self.folder / audit.report for audit in self.cell.audit}
        return {name: load_report(path) for name, path in named.items() if path.exists()}


@dataclass(frozen=True)
class Records:
    """A study's folder, read."""

    folder: Path
    plan: Plan
    records: tuple[Record, ...]

    @property
    def finished(self) -> list[Record]:
        """The cells that have a result."""
        return [record for record in self.records if record.result]


def open_study(folder: Path) -> Records:
    """Read the folder of a study.

    Raises:
        VivavoceError: the folder holds no study.
    """
    if not (folder / PLAN).exists():
        raise VivavoceError(f"{folder}: no study here (no {PLAN}); start one with `vivavoce study run`")
    plan = read_json(folder / PLAN, Plan, "a study")
    return Records(folder, plan, tuple(Record(c, folder / CELLS / c.folder) for c in plan.cells()))


def grouped(
    records: Sequence[Record], key: Callable[[Record], tuple[Any, ...]]
) -> list[tuple[tuple[Any, ...], list[Record]]]:
    """Records with the same key together, in the order in which keys first come."""
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for record in records:
        groups.setdefault(key(record), []).append(record)
    return list(groups.items())
