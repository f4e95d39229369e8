"""The engine for one machine: a process for every cell, several side by side."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from .cell import LOG, Cell, read_failure, read_result
from .records import Record


class LocalEngine:
    """Works on cells on this machine.

    Every cell has a process of its own: whatever it does, running out of memory included, ends that cell
    alone. They are forked from a server that has torch in memory, so they start at once.

    Args:
        workers: cells at a time; they share the cores.
    """

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers

    def run(self, records: Sequence[Record], device: str) -> Iterator[tuple[Record, str | None]]:
        """See `Engine.run`."""
        context = multiprocessing.get_context("spawn" if sys.platform == "win32" else "forkserver")
        if sys.platform != "win32":
            # torch's optimisers import torch._dynamo when they are made, which takes seconds.
            context.set_forkserver_preload([f"{__package__}.work", __name__, "torch._dynamo"])
        threads = _threads(self.workers)
        waiting, running = deque(records), dict[BaseProcess, Record]()
        try:
            while waiting or running:
                while waiting and len(running) < self.workers:
                    record = waiting.popleft()
                    process = context.Process(
                        target=_alone, args=(record.cell, record.folder, device, threads)
                    )
                    process.start()
                    running[process] = record
                wait([process.sentinel for process in running])
                for process in [p for p in running if not p.is_alive()]:
                    record = running.pop(process)
                    yield record, _ending(record, process.exitcode)
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.join()


def _threads(workers: int) -> int:
    """Threads of each cell: OMP_NUM_THREADS, else an equal share of the cores."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdecimal() and int(given):
        return int(given)
    return max(1, (os.cpu_count() or 1) // workers)


def _ending(record: Record, status: int | None) -> str | None:
    """Why the cell's process failed; None if it did not."""
    if status == 0:
        return None
    if status and status > 0 and (failure := read_failure(record.folder)):
        return failure.reason
    from .work import note_failure

    if read_result(record.folder):
        return None
    if status is not None and status < 0:
        ended_by = signal.Signals(-status).name
        memory = "; out of memory?" if ended_by == "SIGKILL" else ""  # no such signal on Windows
        reason = f"its process was ended by {ended_by}{memory}"
    else:
        reason = f"its process ended with status {status}; {record.folder / LOG} may say why"
    note_failure(record.folder, reason)
    return reason


def _alone(cell: Cell, folder: Path, device: str, threads: int) -> None:
    """Work on one cell in this process, which is its alone, and tell its end by the exit status."""
    from .work import alone

    _end_with_parent()
    sys.exit(1 if alone(cell, folder, device, threads) else 0)


def _end_with_parent() -> None:
    """End this process when the study's is killed: nobody would take its result."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, name="parent", daemon=True).start()
