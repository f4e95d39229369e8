"""Files that an audit leaves, by suffix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..console import need
from ..errors import VivavoceError
from .report import Report


def _json(report: Report, path: Path) -> None:
    path.write_bytes(report.to_json())


def _markdown(report: Report, path: Path) -> None:
    from .table import markdown

    path.write_text(markdown(report))


def _csv(report: Report, path: Path) -> None:
    from .table import comma_separated

    path.write_text(comma_separated(report))


def _picture(report: Report, path: Path) -> None:
    from .plots import draw_curves

    draw_curves(report, path)


WRITERS: dict[str, Callable[[Report, Path], None]] = {
    ".json": _json, ".md": _markdown, ".csv": _csv, ".png": _picture, ".svg": _picture, ".pdf": _picture,
}  # fmt: skip


def check_outputs(paths: list[Path]) -> None:
    """Refuse before the work what could not be written after it.

    Raises:
        VivavoceError: an unknown suffix, no such folder, or matplotlib is missing for a picture.
    """
    for path in paths:
        if path.suffix not in WRITERS:
            raise VivavoceError(f"{path}: no such kind of output; give {', '.join(WRITERS)}")
        if not path.absolute().parent.is_dir():
            raise VivavoceError(f"{path.parent}: no such folder to write to")
        if WRITERS[path.suffix] is _picture:
            need("matplotlib", "plot", "a picture")


def write_outputs(report: Report, paths: list[Path]) -> None:
    """Write the report to every path, in the format of its suffix."""
    for path in paths:
        WRITERS[path.suffix](report, path)
