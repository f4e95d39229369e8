"""The engine for many machines: every cell a task of a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ..cluster import Cluster, Lost, expect_to_see, go_home
from ..errors import VivavoceError
from .cell import Cell, read_result
from .records import Record


class RayEngine:
    """Works on cells wherever a Ray cluster has room.

    A cell is a task in a process of its own. If that or its node is lost, Ray begins the task again, and
    the cell goes on from its checkpoint. So every node must see the study's folder under the same path.

    Args:
        address: see `cluster.Cluster`.
        workers: cells at a time; None: as many as there is room for.
        cpus: of every cell; so many threads torch and onnxruntime take.
        gpus: of every cell.

    Raises:
        VivavoceError: Ray is not installed, nothing answers at the address, or no node has that room.
    """

    def __init__(
        self, address: str | None = None, workers: int | None = None, cpus: float = 1, gpus: float = 0
    ) -> None:
        self._cluster, self._most = Cluster(address, cpus, gpus), workers
        slots = self._cluster.slots
        self.workers = min(workers, slots) if workers else slots

    def run(self, records: Sequence[Record], device: str) -> Iterator[tuple[Record, str | None]]:
        """See `Engine.run`.

        Raises:
            VivavoceError: a node does not see the study's folder, or `device` is `cuda` without GPUs.
        """
        try:
            device = self._device(device)
            for folder in {record.folder.absolute().parent for record in records}:
                folder.mkdir(parents=True, exist_ok=True)
                self._cluster.check_sees(folder)
            threads, home = max(1, int(self._cluster.cpus)), Path.cwd()
            calls = [(r.cell, r.folder.absolute(), device, threads, home) for r in records]
            for place, outcome in self._cluster.run(_work, calls, self._most):
                yield records[place], _ending(records[place], outcome)
        finally:
            self._cluster.close()

    def _device(self, device: str) -> str:
        """Ray hides no GPU from a task that asked for none, so such a task must not look for one."""
        if self._cluster.gpus:
            return device
        if device == "cuda":
            raise VivavoceError("device cuda: the engine requests no GPUs; create it with gpus=1")
        return "cpu"


def _work(cell: Cell, folder: Path, device: str, threads: int, home: Path) -> str | None:
    """Work on one cell in a process of a node, which is its alone."""
    from .work import alone

    expect_to_see(folder.parent)
    go_home(home)
    return alone(cell, folder, device, threads)


def _ending(record: Record, outcome: str | Lost | None) -> str | None:
    """Why the cell failed, written down if nobody else could; None if it did not."""
    if not isinstance(outcome, Lost):
        return outcome
    if read_result(record.folder):
        return None
    from .work import note_failure

    note_failure(record.folder, outcome.reason)
    return outcome.reason
