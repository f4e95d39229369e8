"""Where the cells of a study run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from .records import Record


class Engine(Protocol):
    """Works on cells, several at a time if it has the means."""

    workers: int
    """Cells at a time."""

    def run(self, records: Sequence[Record], device: str) -> Iterator[tuple[Record, str | None]]:
        """Work on every cell (see `work.work`), one failing cell not stopping the rest.

        Yields:
            Each cell when it has ended, and None, or in one line why it failed.
        """
        ...
