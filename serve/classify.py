"""Classifies images batch by batch and writes the answers."""

from __future__ import annotations

import contextlib
import csv
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..artifacts import ExportedModel
from ..console import Losses, flush, progress_bar, say
from ..errors import VivavoceError
from ..files import make_folder
from ..images import Fit
from ..images.asked import Asked
from ..images.imageset import to_float
from ..sound.playback import write_wav
from ..sound.speaker import Speaker
from ..sound.speaking import Voice, check_voice, says_names
from .answers import Answer, answer_images, sound_of
from .inputs import sound_paths
from .reply import COLUMNS, describe, record, row

BATCH = 32
"""Images answered at a time."""
Form = Literal["text", "json", "csv"]


@dataclass(frozen=True)
class Wishes:
    """What is to be done with each answer."""

    form: Form = "text"
    top: int = 0
    wav: Path | None = None
    speak: bool = False
    voice: Voice = "model"


def answer_all(images: Sequence[Asked], opened: ExportedModel, wishes: Wishes) -> int:
    """Answer every image on standard output; errors go to standard error.

    Returns:
        How many images could not be read. The others are answered all the same.

    Raises:
        VivavoceError: a folder to write to does not exist, or the only image cannot be read.
    """
    if wishes.wav or wishes.speak or wishes.voice == "label":
        check_voice(opened)
    sounds = sound_paths(images, wishes.wav)
    tell = Teller(opened, wishes, sounds)
    failed, losses = 0, Losses()
    with contextlib.ExitStack() as stack:
        speaker = stack.enter_context(Speaker()) if wishes.speak else None
        advance = stack.enter_context(_progress(len(images)))
        for asked, answer in _answers(images, opened):
            if isinstance(answer, VivavoceError):
                if len(images) == 1:
                    raise answer
                failed += 1
                tell.failure(asked, answer)
            else:
                tell.answer(asked, answer)
                if speaker is not None or asked.name in sounds:
                    with losses.noting():
                        _utter(opened, answer, wishes.voice, sounds.get(asked.name), speaker)
            advance()
    if speaker is not None and speaker.trouble:
        say(speaker.trouble, err=True)
    tell.end()
    losses.end()
    return failed


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """What to call after each image; a bar is worth the time to load it only for many."""
    if total <= BATCH:
        yield lambda: None
        return
    with progress_bar() as bar:
        task = bar.add_task("classifying", total=total, note="")
        yield lambda: bar.advance(task)


def _answers(images: Sequence[Asked], model: ExportedModel) -> Iterator[tuple[Asked, Answer | VivavoceError]]:
    """Each image with its answer, or with why it could not be read, in order."""
    fit = Fit.of(model.manifest.input)
    for start in range(0, len(images), BATCH):
        group = images[start : start + BATCH]
        pixels: list[np.ndarray | VivavoceError] = [_pixels(asked, fit) for asked in group]
        readable = [p for p in pixels if isinstance(p, np.ndarray)]
        answers = iter(answer_images(model, to_float(np.stack(readable))) if readable else ())
        for asked, found in zip(group, pixels, strict=True):
            yield asked, found if isinstance(found, VivavoceError) else next(answers)


def _pixels(asked: Asked, fit: Fit) -> np.ndarray | VivavoceError:
    try:
        return asked.read(fit)
    except VivavoceError as error:
        return error


def _utter(
    model: ExportedModel, answer: Answer, voice: Voice, path: Path | None, speaker: Speaker | None
) -> None:
    samples, rate = sound_of(model, answer, voice)
    if path is not None:
        make_folder(path.parent)
        write_wav(path, samples, rate)
    if speaker is not None:
        speaker.say(samples, rate)


class Teller:
    """Writes answers to standard output in one form."""

    def __init__(self, model: ExportedModel, wishes: Wishes, sounds: dict[str, Path]) -> None:
        self._model, self._wishes, self._sounds = model, wishes, sounds
        self._table = csv.DictWriter(sys.stdout, [*COLUMNS, "top"], lineterminator="\n")
        if wishes.form == "csv":
            self._table.writeheader()

    def answer(self, asked: Asked, answer: Answer) -> None:
        """Tell one answer."""
        path = self._sounds.get(asked.name)
        if self._wishes.form == "text":
            voice = " (the sound is the label's)" if path and self._wishes.voice == "label" else ""
            say(describe(asked.name, answer, self._model, self._wishes.top) + voice)
            flush()
        else:
            self._write(record(asked.name, answer, self._model, self._wishes.top, path))

    def failure(self, asked: Asked, error: VivavoceError) -> None:
        """Tell why an image has no answer."""
        say(f"error: {error}", err=True)
        if self._wishes.form != "text":
            self._write({"file": asked.name, "error": str(error)})

    def end(self) -> None:
        """Say where the sounds are."""
        if self._sounds:
            where = self._wishes.wav if len(self._sounds) > 1 else next(iter(self._sounds.values()))
            whose = "the nearest label" if self._wishes.voice == "label" else "the prediction"
            whose = "the name of the class, stored in the model" if says_names(self._model) else whose
            say(f"wrote {where}: the sound of {whose}", err=True)

    def _write(self, found: dict[str, Any]) -> None:
        if self._wishes.form == "json":
            print(json.dumps(found))
            flush()
        else:
            self._table.writerow(row(found))
