"""Rows of Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence

from ..text import markdown as escape
from .cell import level_name
from .records import Record


def head(names: Sequence[str]) -> list[str]:
    """The first two lines of a table."""
    return [line(names), "|" + "---|" * len(names)]


def line(values: Sequence[str]) -> str:
    """A row."""
    return f"| {' | '.join(map(escape, values))} |"


def model(record: Record) -> tuple[str, str, str, str]:
    """What all seeds of a cell share: data set, encoder, label or method, amount of data."""
    cell = record.cell
    return cell.data, cell.encoder, cell.kind, level_name(cell.level)
