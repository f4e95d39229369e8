"""What a study is doing at the moment, read from the logs of its cells."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ..text import plain
from .cell import LOG
from .records import Record

SECONDS = 1.0
"""Between two looks at the logs."""
TAIL = 2_000
"""Bytes at the end of a log that are read."""


def current(records: Sequence[Record]) -> list[str]:
    """The cell whose log changed last with its last line, and the path of that log; empty before the first.

    Logs are read, so that this works for cells in other processes and on other machines.
    """
    logs = []
    for record in records:
        path = record.folder / LOG
        try:
            logs.append((path.stat().st_mtime, record.cell.name, path))
        except OSError:
            continue
    if not logs:
        return []
    _, name, path = max(logs)
    return [f"{name}: {_last_line(path)}", f"log: {path}"]


def _last_line(path) -> str:
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - TAIL))
            lines = log.read().decode("utf-8", "replace").split("\n")
    except OSError:
        return ""
    return plain(next((line.strip() for line in reversed(lines) if line.strip()), "started"))


@contextmanager
def watching(records: Sequence[Record], show: Callable[[list[str]], None]) -> Iterator[None]:
    """Call `show` with what `current` says, every second until the block ends.

    Args:
        records: the cells that are not finished.
        show: called in a thread of its own.
    """
    ended = threading.Event()

    def follow() -> None:
        while not ended.wait(SECONDS):
            show(current(records))

    thread = threading.Thread(target=follow, name="watching", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
