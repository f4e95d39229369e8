"""As many epochs as fit into a time: two short trials of the whole study say how long an epoch takes."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from ..errors import VivavoceError
from ..train.recipes import resolve
from .engine import Engine
from .plan import Plan
from .records import PLAN, Record, open_study
from .running import begin
from .running import run as run_cells

TRIALS = (1, 3)
"""Epochs of the two trials: their difference is free of what a run takes to start and to end."""
RESERVE = 0.05
"""Share of the time that is left over, because epochs do not always take as long as in the trials."""


def fitted(
    plan: Plan, out: Path, engine: Engine, device: str, minutes: float, say: Callable[[str], None]
) -> Plan:
    """The plan with as many epochs as fit, at most its own; a study that has begun keeps its number.

    Audits are not counted. The time of the trials is.

    Args:
        plan: the study.
        out: its folder.
        engine: where its cells run.
        device: `auto`, `cpu` or `cuda`.
        minutes: for training every cell.
        say: takes a line for the user.

    Raises:
        VivavoceError: a cell of a trial failed, or not even one epoch fits.
    """
    if (out / PLAN).exists():
        return _with(plan, open_study(out).plan.set.get("epochs"))
    started = time.monotonic()
    (short, _), (long, epoch) = (_trial(plan, out, epochs, engine, device) for epochs in TRIALS)
    each = max((long - short) / (TRIALS[1] - TRIALS[0]), epoch)
    left = 60 * minutes - (time.monotonic() - started) - max(short - each, 0.0)
    epochs = int(left * (1 - RESERVE) / each)
    if epochs < 1:
        needed = (60 * minutes - left + each / (1 - RESERVE)) / 60
        raise VivavoceError(
            f"--minutes {minutes:g}: not even one epoch of all {len(plan.cells())} cells fits; give at least "
            f"{needed:.1f}, or a smaller --grid"
        )
    most = max(resolve(plan.recipe, True, encoder, plan.set).epochs for encoder in plan.grid.encoder)
    epochs = min(epochs, most)
    say(f"an epoch of all cells takes {each:.1f} s: {epochs} epochs")
    return _with(plan, epochs)


def _with(plan: Plan, epochs: int | None) -> Plan:
    return plan if epochs is None else msgspec.structs.replace(plan, set=plan.set | {"epochs": epochs})


def _trial(plan: Plan, out: Path, epochs: int, engine: Engine, device: str) -> tuple[float, float]:
    """Seconds of the study with so few epochs, without audits; and of its last epoch by the cells' clocks."""
    folder = out / f"trial-{epochs}"
    shutil.rmtree(folder, ignore_errors=True)
    short = msgspec.structs.replace(_with(plan, epochs), audit=(), snapshots=())
    records, reasons = begin(short, folder), list[str]()
    started = time.monotonic()
    run_cells(records, engine, device, lambda step: reasons.extend(filter(None, [step.reason])))
    seconds = time.monotonic() - started
    if reasons:
        raise VivavoceError(f"--minutes: a cell of the trial failed: {reasons[0]}")
    epoch = _last_epoch(records.records, engine.workers)
    shutil.rmtree(folder, ignore_errors=True)
    return seconds, epoch


def _last_epoch(records: Sequence[Record], workers: int) -> float:
    """Seconds that the last epoch of all cells takes, so many side by side."""
    return sum(record.history[-1].seconds for record in records) / min(workers, len(records))
