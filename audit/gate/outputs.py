"""Files that a comparison leaves, by suffix, and `gitlab:FILE`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...console import need
from ...errors import VivavoceError
from ..report import Report
from .comparison import Comparison

GITLAB = "gitlab:"


@dataclass(frozen=True)
class Compared:
    """A comparison, what it was made of, and the path of the new model."""

    comparison: Comparison
    before: Report
    after: Report
    where: str


def _json(compared: Compared, path: Path) -> None:
    path.write_bytes(compared.comparison.to_json())


def _junit(compared: Compared, path: Path) -> None:
    from .junit import junit

    path.write_text(junit(compared.comparison), encoding="utf-8")


def _sarif(compared: Compared, path: Path) -> None:
    from .findings import sarif

    path.write_text(sarif(compared.comparison, compared.where), encoding="utf-8")


def _gitlab(compared: Compared, path: Path) -> None:
    from .findings import code_quality

    path.write_text(code_quality(compared.comparison, compared.where), encoding="utf-8")


def _markdown(compared: Compared, path: Path) -> None:
    from .table import markdown

    path.write_text(markdown(compared.comparison), encoding="utf-8")


def _csv(compared: Compared, path: Path) -> None:
    from .table import comma_separated

    path.write_text(comma_separated(compared.comparison), encoding="utf-8")


def _picture(compared: Compared, path: Path) -> None:
    from .picture import draw

    draw(compared.comparison, compared.before, compared.after, path)


WRITERS: dict[str, Callable[[Compared, Path], None]] = {
    ".xml": _junit, ".sarif": _sarif, ".json": _json, ".md": _markdown, ".csv": _csv,
    ".png": _picture, ".svg": _picture, ".pdf": _picture,
}  # fmt: skip


FOR_GATES = (_junit, _sarif, _gitlab)
"""Writers of what passed and failed."""


def _writer(name: str) -> tuple[Callable[[Compared, Path], None], Path]:
    """Who writes an output, and where to.

    Raises:
        VivavoceError: an unknown kind.
    """
    if name.startswith(GITLAB):
        return _gitlab, Path(name.removeprefix(GITLAB))
    path = Path(name)
    if path.suffix not in WRITERS:
        raise VivavoceError(f"{name}: no such kind of output; give {', '.join(WRITERS)} or gitlab:FILE")
    return WRITERS[path.suffix], path


def check_outputs(names: list[str], gate: bool = True) -> None:
    """Refuse before the work what could not be written after it.

    Args:
        names: as given to `--output`.
        gate: whether the command judges; JUnit, SARIF and GitLab's format tell a judgement.

    Raises:
        VivavoceError: an unknown kind, no such folder, or a package is missing for a picture.
    """
    for name in names:
        writer, path = _writer(name)
        if writer in FOR_GATES and not gate:
            raise VivavoceError(f"{name}: that kind of output is a judgement; `audit check` writes it")
        if not path.name or not path.absolute().parent.is_dir() or path.is_dir():
            raise VivavoceError(f"{name}: not a file that can be written")
        if writer is _picture:
            need("matplotlib", "plot", "a picture")


def write_outputs(compared: Compared, names: list[str]) -> list[Path]:
    """Write the comparison to every output; returns the files."""
    written = []
    for name in names:
        writer, path = _writer(name)
        writer(compared, path)
        written.append(path)
    return written


def relative_path(path: Path) -> str:
    """A model's path as a code host knows it: from here, if it is below; else its name."""
    try:
        return path.absolute().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path.name
