"""The last reports of audits that wrote none, in the user's state folder."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from ..errors import VivavoceError
from ..files import write_whole
from ..text import file_stems
from .report import Report

MOST = 10
"""Reports that are kept."""


def folder() -> Path:
    """Where they are: `$XDG_STATE_HOME/vivavoce/reports` on Linux."""
    from platformdirs import user_state_path

    return user_state_path("vivavoce") / "reports"


def keep(report: Report) -> Path | None:
    """Keep a report, and remove all but the newest; None where the folder cannot be written."""
    home = folder()
    when = datetime.now(UTC).strftime("%Y-%m-%dT%H%M%S.%f")
    path = home / f"{when}-{file_stems([report.model.file])[0]}.json"
    try:
        home.mkdir(parents=True, exist_ok=True)
        write_whole(path, report.to_json())
    except (OSError, VivavoceError):
        return None
    for old in kept()[MOST:]:
        with suppress(OSError):
            old.unlink()
    return path


def kept() -> list[Path]:
    """The kept reports, the newest first."""
    try:
        return sorted(folder().glob("*.json"), reverse=True)
    except OSError:
        return []


def newest() -> Path:
    """The newest kept report.

    Raises:
        VivavoceError: no report is kept.
    """
    found = kept()
    if not found:
        raise VivavoceError("no report is kept yet; give a report.json, or run audit robustness first")
    return found[0]
