"""Files that an audit leaves, by suffix, and the sounds of its answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ...artifacts import ExportedModel
from ...console import need
from ...errors import VivavoceError
from ...sound.speaking import check_voice
from ..run import Audit


def _json(audit: Audit, path: Path) -> None:
    path.write_bytes(audit.report.to_json())


def _markdown(audit: Audit, path: Path) -> None:
    from .table import markdown

    path.write_text(markdown(audit.report))


def _csv(audit: Audit, path: Path) -> None:
    from .table import comma_separated

    path.write_text(comma_separated(audit.report))


def _picture(audit: Audit, path: Path) -> None:
    from .plots import draw_curves

    draw_curves(audit.report, path)


def _html(audit: Audit, path: Path) -> None:
    from .html import page

    path.write_text(page(audit), encoding="utf-8")


WRITERS: dict[str, Callable[[Audit, Path], None]] = {
    ".json": _json, ".html": _html, ".md": _markdown, ".csv": _csv,
    ".png": _picture, ".svg": _picture, ".pdf": _picture,
}  # fmt: skip


def check_outputs(paths: list[Path]) -> None:
    """Refuse before the work what could not be written after it.

    Raises:
        VivavoceError: an unknown suffix, no such folder, or a package is missing for a picture or page.
    """
    for path in paths:
        if path.suffix not in WRITERS:
            raise VivavoceError(f"{path}: no such kind of output; give {', '.join(WRITERS)}")
        if not path.absolute().parent.is_dir():
            raise VivavoceError(f"{path.parent}: no such folder to write to")
        if WRITERS[path.suffix] in (_picture, _html):
            need("matplotlib", "plot", "a picture")
        if WRITERS[path.suffix] is _html:
            need("jinja2", "plot", "a page")


def write_outputs(audit: Audit, paths: list[Path]) -> None:
    """Write the report to every path, in the format of its suffix."""
    for path in paths:
        WRITERS[path.suffix](audit, path)


def check_sounds(model: ExportedModel, folder: Path | None) -> None:
    """Refuse a folder for sounds that is not there, or a model that does not speak.

    Raises:
        VivavoceError: one of the two.
    """
    if folder is None:
        return
    if not folder.is_dir():
        raise VivavoceError(f"{folder}: no such folder to write sounds to")
    check_voice(model)


def write_sounds(audit: Audit, folder: Path | None) -> list[Path]:
    """Write `<image>-clean.wav` and `<image>-adversarial.wav` for the examples of an audit."""
    from ...sound.playback import write_wav
    from .examples import answered

    if folder is None:
        return []
    written = []
    for example in answered(audit):
        for side, answer in (("clean", example.clean), ("adversarial", example.adversarial)):
            if answer.sound is not None:
                stem = Path(example.name).stem.replace(" ", "-")
                written.append(folder / f"{stem}-{side}.wav")
                write_wav(written[-1], answer.sound, answer.rate)
    return written
