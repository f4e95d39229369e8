"""Working on one cell: train, export, audit; whatever is done already is kept."""

from __future__ import annotations

import os
import platform
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from filelock import FileLock

from ..artifacts import open_model
from ..artifacts.runtime import use_threads
from ..audit.plan import Settings
from ..audit.protocol import resolve
from ..audit.run import robustness
from ..errors import VivavoceError
from ..export.build import export_run
from ..files import write_whole
from ..images.sources import well_known
from ..train.data import Split, Splits
from ..train.learned.setting_up import default_label
from ..train.parallel import World
from ..train.run import CONFIG, pick_device, read_tensors
from ..train.run import RESULT as TRAINED
from ..train.setup import Choices, prepare
from .cell import (
    ALL,
    DEFINITION,
    FAILURE,
    LOG,
    MODEL,
    RESULT,
    AuditPlan,
    Cell,
    Failure,
    Result,
    read_failure,
)
from .methods import METHODS


def work(cell: Cell, folder: Path, device: str = "auto") -> str | None:
    """Bring a cell to its end, from where it stands.

    Whoever else works on it is waited for, and what they finished is taken.

    Args:
        cell: what to do.
        folder: the cell's own.
        device: `auto`, `cpu` or `cuda`.

    Returns:
        None, or in one line why it could not be finished.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        if (folder / RESULT).exists():
            return None
        write_whole(folder / DEFINITION, msgspec.json.format(msgspec.json.encode(cell), indent=2))
        try:
            result = _finish(cell, folder, device)
        except Exception as error:
            traceback.print_exc()
            expected = isinstance(error, VivavoceError)
            reason = " ".join((str(error) if expected else f"{type(error).__name__}: {error}").split())
            note_failure(folder, reason)
            return reason
        write_whole(folder / RESULT, msgspec.json.format(msgspec.json.encode(result), indent=2))
        (folder / FAILURE).unlink(missing_ok=True)
    return None


def alone(cell: Cell, folder: Path, device: str, threads: int) -> str | None:
    """`work` in a process that is the cell's alone: so many threads, and what it prints to the cell's log."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOG).open("a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    torch.set_num_threads(threads)
    use_threads(threads)
    return work(cell, folder, device)


def note_failure(folder: Path, reason: str) -> None:
    """Write down why the cell in `folder` failed."""
    folder.mkdir(parents=True, exist_ok=True)
    before = read_failure(folder)
    failure = Failure(reason, before.tries + 1 if before else 1)
    write_whole(folder / FAILURE, msgspec.json.encode(failure))


def _finish(cell: Cell, folder: Path, device: str) -> Result:
    started = time.perf_counter()
    if not (folder / TRAINED).exists():
        _train(cell, folder, device)
    if cell.audit and not (folder / MODEL).exists():
        export_run(folder, folder / MODEL)
    for audit in cell.audit:
        if not (folder / audit.report).exists():
            _audit(cell, audit, folder)
    _, trained = read_tensors(folder / TRAINED)
    return Result(
        trained["accuracy"], trained["best_epoch"], trained["epochs"], time.perf_counter() - started,
        f"{platform.machine()}, {torch.get_num_threads()} threads, {pick_device(device).type}",
    )  # fmt: skip


def _train(cell: Cell, folder: Path, device: str) -> None:
    choices = choose(cell)
    splits = _reduced(choices.splits(), cell.test_limit)
    resume = (folder / CONFIG).exists()
    trainer = prepare(choices, folder, pick_device(device), resume, World(), splits)
    epochs = trainer.config.recipe.epochs
    trainer.keep = frozenset(max(1, round(share * epochs)) for share in cell.snapshots)
    trainer.train(lambda *_: None, lambda epoch: print(epoch.line(epochs), flush=True))


def choose(cell: Cell) -> Choices:
    """What `vivavoce train` would be told to train the cell."""
    objective: dict[str, Any] = METHODS[cell.method] | {"train_mode_eval": True} if cell.method else {}
    return Choices(
        cell.dataset,
        label="speech" if cell.voice else default_label(objective.get("name"), cell.label, None),
        encoder=cell.encoder,
        recipe=cell.recipe,
        changes=cell.set,
        seed=cell.seed,
        data_level=None if cell.level == ALL else cell.level,
        image_size=cell.image_size,
        weights=cell.weights or None,
        wavs=Path(cell.wavs) if cell.wavs else None,
        speech=msgspec.structs.asdict(cell.voice) if cell.voice else {},
        objective=objective,
        adversarial=cell.adversarial.choices if cell.adversarial else {},
    )


def _reduced(splits: Splits, limit: int) -> Splits:
    """The splits with at most `limit` images to validate and to test on, the same for every cell."""
    return replace(splits, validation=_some(splits.validation, limit), test=_some(splits.test, limit))


def _some(part: Split, limit: int) -> Split:
    if not 0 < limit < len(part):
        return part
    return part.subset(np.random.default_rng(0).permutation(len(part))[:limit])


def _audit(cell: Cell, audit: AuditPlan, folder: Path) -> None:
    settings = Settings(
        protocol=resolve(audit.protocol, audit.attack, audit.epsilon),
        data=test_images(cell.dataset),
        limit=audit.limit,
        seed=audit.seed,
        resume=folder / f"{audit.report}.state",
    )
    said = ""

    def follow(step: str, done: int, total: int) -> None:
        nonlocal said
        if step != said:
            print(f"{audit.report}: {step}" + (f", {done} of {total}" if total else ""), flush=True)
        said = step

    report = robustness(open_model(folder / MODEL), settings, follow).report
    write_whole(folder / audit.report, report.to_json())


def test_images(dataset: str) -> str:
    """What `open_images` takes for the test part of what a run was trained on."""
    named = dataset == "digits" or well_known(dataset)
    return dataset if named else str(Path(dataset) / "test")
