"""The files that the figures of every epoch are written to."""

from __future__ import annotations

import csv
import io
import json
import time
from dataclasses import asdict, fields
from importlib.util import find_spec
from pathlib import Path

from ..files import write_whole
from .epoch import Epoch

DRAW_EVERY = 60.0
"""Seconds between two drawings of the curves while training goes on."""


class Journal:
    """The logs of a run: `history.csv` and `history.jsonl`, and more where a package for it is installed.

    That is `curves.png` with matplotlib, and event files in `tensorboard/` with tensorboard.

    Args:
        folder: the run's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.drawn = time.monotonic()
        self.writer = None

    def write(self, history: list[Epoch]) -> None:
        """Bring every log up to date with the history, whose last epoch is new."""
        table = io.StringIO()
        writer = csv.DictWriter(table, [f.name for f in fields(Epoch)])
        writer.writeheader()
        writer.writerows(asdict(e) for e in history)
        lines = "".join(f"{json.dumps(asdict(e))}\n" for e in history)
        write_whole(self.folder / "history.csv", table.getvalue().encode())
        write_whole(self.folder / "history.jsonl", lines.encode())
        self._tensorboard(history[-1])
        if time.monotonic() - self.drawn > DRAW_EVERY:
            self._draw(history)

    def finish(self, history: list[Epoch]) -> None:
        """Draw the curves of the whole run and close the logs."""
        self._draw(history)
        if self.writer:
            self.writer.close()

    def _tensorboard(self, epoch: Epoch) -> None:
        if self.writer is None:
            if find_spec("tensorboard") is None:
                return
            from torch.utils.tensorboard import SummaryWriter

            # Events after this epoch's are those of a run that was stopped before its checkpoint.
            self.writer = SummaryWriter(str(self.folder / "tensorboard"), purge_step=epoch.epoch)
        for name, value in asdict(epoch).items():
            if name != "epoch" and value is not None:
                self.writer.add_scalar(name, value, epoch.epoch)
        self.writer.flush()

    def _draw(self, history: list[Epoch]) -> None:
        if find_spec("matplotlib") is not None:
            from .curves import draw_curves

            draw_curves(history, self.folder / "curves.png")
        self.drawn = time.monotonic()
