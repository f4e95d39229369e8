"""Output files of a comparison, by suffix, and `gitlab:FILE`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...console import Losses, need, say
from ...errors import VivavoceError
from ...files import check_parent, write_whole
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


def _json(compared: Compared, kind: str) -> bytes:
    return compared.comparison.to_json()


def _junit(compared: Compared, kind: str) -> bytes:
    from .junit import junit

    return junit(compared.comparison, compared.after).encode()


def _sarif(compared: Compared, kind: str) -> bytes:
    from .findings import sarif

    return sarif(compared.comparison, compared.where).encode()


def _gitlab(compared: Compared, kind: str) -> bytes:
    from .findings import code_quality

    return code_quality(compared.comparison, compared.where).encode()


def _markdown(compared: Compared, kind: str) -> bytes:
    from .table import markdown

    return markdown(compared.comparison).encode()


def _csv(compared: Compared, kind: str) -> bytes:
    from .table import comma_separated

    return comma_separated(compared.comparison).encode()


def _picture(compared: Compared, kind: str) -> bytes:
    from .picture import draw

    return draw(compared.comparison, compared.before, compared.after, kind)


Writer = Callable[[Compared, str], bytes]
"""Makes a file's content; it also gets the file's suffix, without the dot."""
WRITERS: dict[str, Writer] = {
    ".xml": _junit, ".sarif": _sarif, ".json": _json, ".md": _markdown, ".csv": _csv,
    ".png": _picture, ".svg": _picture, ".pdf": _picture,
}  # fmt: skip


FOR_GATES = (_junit, _sarif, _gitlab)
"""Writers of what passed and failed."""


def _writer(name: str) -> tuple[Writer, Path]:
    """Who writes an output, and where to.

    Raises:
        VivavoceError: an unknown kind.
    """
    if name.startswith(GITLAB):
        return _gitlab, Path(name.removeprefix(GITLAB))
    path = Path(name)
    if path.suffix not in WRITERS:
        raise VivavoceError(f"{name}: unknown output format; use {', '.join(WRITERS)} or gitlab:FILE")
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
            raise VivavoceError(f"{name}: only `audit check` writes this format")
        check_parent(path)
        if writer is _picture:
            need("matplotlib", "plot", "a picture")


def write_outputs(compared: Compared, names: list[str], losses: Losses) -> None:
    """Write the comparison to every output; note what cannot be written."""
    for name in names:
        writer, path = _writer(name)
        with losses.noting():
            write_whole(path, writer(compared, path.suffix.removeprefix(".")))
            say(f"wrote {path}", err=True)


def relative_path(path: Path) -> str:
    """A model's path as a code host knows it: from here, if it is below; else its name."""
    try:
        return path.absolute().relative_to(Path.cwd()).as_posix()
    except (ValueError, OSError):  # OSError: the working folder is gone
        return path.name
