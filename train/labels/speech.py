"""`speech`: the log-mel spectrogram of the spoken class name (Chen et al. 2021, section 3)."""

from __future__ import annotations

import numpy as np

from ...artifacts.bank import LabelBank
from ...artifacts.manifest import Mel
from ...console import need
from ...errors import VivavoceError
from .engines import Engine, choose
from .engines.recordings import Recordings
from .kinds import Request
from .spectrogram import speech_label


def build(request: Request) -> LabelBank:
    """Have every word said, by an engine or by recordings, and make its picture.

    Raises:
        VivavoceError: no engine, a word it cannot say, a recording that is no use, or two classes
            that say the same word.
    """
    need("librosa", "labels", "a spoken label")
    _check_words(request)
    engine = speaker(request)
    mel = Mel()
    labels, frames = [], []
    for word in request.spoken:
        request.saying(word)
        samples, rate = engine.say(word)
        label, count = speech_label(samples, rate, request.size, mel)
        labels.append(label)
        frames.append(count)
    return LabelBank(
        "speech", np.stack(labels), request.classes, request.spoken, tuple(frames), mel, engine.recipe()
    )


def speaker(request: Request) -> Engine:
    """Who says the words: the recordings, the engine that was named, or the first that is installed."""
    if request.wavs is not None:
        return Recordings(request.wavs, request.classes, request.spoken)
    return choose(request.engine, request.language, request.voice)


def _check_words(request: Request) -> None:
    """Refuse two classes that would get the same picture."""
    said: dict[str, str] = {}
    for name, word in zip(request.classes, request.spoken, strict=True):
        if word in said:
            raise VivavoceError(
                f"the classes {said[word]!r} and {name!r} both say {word!r}; change one of the words"
            )
        said[word] = name
