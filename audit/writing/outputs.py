"""Output files of an audit, by suffix, and the sounds of its answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...artifacts import ExportedModel
from ...console import Losses, need, say
from ...errors import VivavoceError
from ...files import check_folder, check_parent, make_folder, write_whole
from ...sound.speaking import check_voice
from ..report import Report
from ..run import Audit


@dataclass(frozen=True)
class Finished:
    """What is written."""

    report: Report
    """Of all protocols."""
    audits: Sequence[Audit] = ()
    """The data behind the pictures of images, for each protocol; empty: only the report is left."""


def _json(finished: Finished, kind: str) -> bytes:
    return finished.report.to_json()


def _markdown(finished: Finished, kind: str) -> bytes:
    from .table import markdown

    return markdown(finished.report).encode()


def _csv(finished: Finished, kind: str) -> bytes:
    from .table import comma_separated

    return comma_separated(finished.report).encode()


def _junit(finished: Finished, kind: str) -> bytes:
    from .findings import junit

    return junit(finished.report).encode()


def _sarif(finished: Finished, kind: str) -> bytes:
    from .findings import sarif

    return sarif(finished.report).encode()


def _picture(finished: Finished, kind: str) -> bytes:
    from .plots import curves

    return curves(finished.report, kind)


def _html(finished: Finished, kind: str) -> bytes:
    from .html import page

    return page(finished.report, finished.audits).encode()


WRITERS: dict[str, Callable[[Finished, str], bytes]] = {
    ".json": _json, ".html": _html, ".md": _markdown, ".csv": _csv, ".xml": _junit, ".sarif": _sarif,
    ".png": _picture, ".svg": _picture, ".pdf": _picture,
}  # fmt: skip
"""Makes a file's content, by suffix; called with the suffix, without the dot."""


def check_outputs(paths: list[Path]) -> None:
    """Check before the work that every output can be written after it.

    Raises:
        VivavoceError: an unknown suffix, no such folder, or a package is missing for a picture or page.
    """
    for path in paths:
        if path.suffix not in WRITERS:
            raise VivavoceError(f"{path}: unknown output format; use {', '.join(WRITERS)}")
        check_parent(path)
        if WRITERS[path.suffix] is _picture:
            need("matplotlib", "plot", "a picture")


def write_outputs(finished: Finished, paths: list[Path], losses: Losses) -> None:
    """Write a report to every path, in the format of its suffix; note what cannot be written.

    Every format holds all protocols of a report in one file.
    """
    names = [part.protocol.name for part in finished.report.parts]
    held = f" ({', '.join(names)})" if len(names) > 1 else ""
    for path in paths:
        with losses.noting():
            write_whole(path, WRITERS[path.suffix](finished, path.suffix.removeprefix(".")))
            say(f"wrote {path}{held}", err=True)


def check_sounds(model: ExportedModel, folder: Path | None) -> None:
    """Check that the folder for sounds can be made and the model speaks.

    Raises:
        VivavoceError: one of the two fails.
    """
    if folder is not None:
        check_folder(folder)
        check_voice(model)


def write_sounds(audits: Sequence[Audit], folder: Path | None, losses: Losses) -> None:
    """Write `<image>-clean.wav` and `<image>-adversarial.wav` for the examples of audits.

    With several protocols the name of each stands before those of its images.
    """
    if folder is None:
        return
    with losses.noting():
        make_folder(folder)
        for audit in audits:
            _write_sounds(audit, folder, prefix_of(audit, audits), losses)
    if not any(audit.evaluation.examples for audit in audits):
        say(f"{folder}: no image was lost, so there are no sounds to compare", err=True)


def _write_sounds(audit: Audit, folder: Path, prefix: str, losses: Losses) -> None:
    from ...sound.playback import write_wav
    from ...text import file_stems
    from .examples import answered

    examples = list(answered(audit))
    stems = file_stems([example.name for example in examples])
    for stem, example in zip(stems, examples, strict=True):
        for side, answer in (("clean", example.clean), ("adversarial", example.adversarial)):
            if answer.sound is not None:
                path = folder / f"{prefix}{stem}-{side}.wav"
                with losses.noting():
                    write_wav(path, answer.sound, answer.rate)
                    say(f"wrote {path}", err=True)


def prefix_of(audit: Audit, audits: Sequence[Audit]) -> str:
    """What the names of an audit's files begin with: its protocol, where there are several."""
    return f"{audit.report.protocol.name}-" if len(audits) > 1 else ""
