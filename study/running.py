"""Running a study: its folder, what is left to do, how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ..errors import VivavoceError
from ..files import write_whole
from .engine import Engine
from .plan import Plan
from .records import PLAN, Record, Records, open_study

MANY = 200
"""Cells from which a study is asked about before it starts."""


@dataclass(frozen=True)
class Step:
    """A cell that has just ended."""

    record: Record
    reason: str | None
    """Why it failed; None: it is finished."""
    done: int
    """Cells that have ended, those of earlier tries counted in."""
    total: int
    left: float | None
    """Seconds that the rest will take, if cells with as much data take as long; None: not known yet."""


def begin(plan: Plan, folder: Path, accept_changes: bool = False) -> Records:
    """Open the study's folder, or make it.

    Cells are known by what decides their outcome, so after a change those that are as they were stay done.

    Raises:
        VivavoceError: the folder holds another study, or this one with other settings that were not
            accepted, or it cannot be written.
    """
    path = folder / PLAN
    if path.exists():
        changed = list(changes(open_study(folder).plan, plan))
        if changed and not accept_changes:
            raise VivavoceError(
                f"{folder} contains this study with different settings: {'; '.join(changed)}. Continue with "
                "--accept-changes (unchanged finished cells are kept), or choose a different --out"
            )
        if not changed:
            return open_study(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VivavoceError(f"--out {folder}: cannot store a study here ({error.strerror})") from error
    write_whole(path, msgspec.json.format(msgspec.json.encode(plan), indent=2))
    return open_study(folder)


def changes(before: Plan, now: Plan) -> Iterator[str]:
    """What differs between two plans, in words; what is only shown does not count."""
    old, new = (_flat(msgspec.to_builtins(plan)) for plan in (before, now))
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            yield f"{key} {_said(old.get(key))}, now {_said(new.get(key))}"


def _flat(told: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in told.items():
        if key in ("title", "figures", "reach"):
            continue
        found |= _flat(value, f"{prefix}{key} ") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


def _said(value: Any) -> str:
    if isinstance(value, list | tuple) and all(not isinstance(v, dict) for v in value):
        return ",".join(map(str, value)) or "none"
    return "unset" if value is None else msgspec.json.encode(value).decode() if value != "" else "none"


def run(records: Records, engine: Engine, device: str, tell: Callable[[Step], None] = lambda _: None) -> None:
    """Work on every cell that is not finished; those that failed before are tried again.

    Args:
        records: the study.
        engine: where.
        device: `auto`, `cpu` or `cuda`.
        tell: called with every cell that ends.
    """
    done = [record for record in records.records if record.result]
    left = [record for record in records.records if not record.result]
    weights = {record.folder: record.cell.level for record in left}
    started, total, worked, ended = time.monotonic(), sum(weights.values()), 0, len(done)
    for record, reason in engine.run(left, device):
        ended, worked = ended + 1, worked + weights[record.folder]
        passed = time.monotonic() - started
        tell(Step(record, reason, ended, len(records.records), passed / worked * (total - worked)))
