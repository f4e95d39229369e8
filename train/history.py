"""The figures of every epoch, and the files they are written to."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from .run import write_whole


@dataclass(frozen=True)
class Epoch:
    """The figures of one epoch."""

    epoch: int
    """Counted from 1."""
    learning_rate: float
    """At the last step."""
    train_loss: float
    validation_loss: float
    validation_accuracy: float
    """Nearest-neighbour (or arg-max) accuracy in 0..1."""
    seconds: float
    test_accuracy: float | None = None
    """On the whole test part, in inference mode; only with an objective of `learned`, whose curves the
    adaptive-label paper compares. Not counted in `seconds`."""
    test_accuracy_train_mode: float | None = None
    """The same with the network in training mode, as that paper's code judges."""

    @property
    def rank(self) -> tuple[float, float]:
        """Higher is better: validation accuracy, ties by lower validation loss."""
        return self.validation_accuracy, -self.validation_loss


def write_logs(folder: Path, history: list[Epoch]) -> None:
    """Write `history.csv` and `history.jsonl`, one line an epoch, each whole or not at all."""
    table = io.StringIO()
    writer = csv.DictWriter(table, [f.name for f in fields(Epoch)])
    writer.writeheader()
    writer.writerows(asdict(e) for e in history)
    write_whole(folder / "history.csv", table.getvalue().encode())
    write_whole(folder / "history.jsonl", "".join(f"{json.dumps(asdict(e))}\n" for e in history).encode())
