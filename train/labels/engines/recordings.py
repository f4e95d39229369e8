"""A folder of recordings, any voice or language, and what is asked of any recording."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np

from ....errors import VivavoceError
from ..spectrogram import trim

LONGEST = 5.0
"""Seconds of sound, without the silence around it, beyond which a recording is not one word."""
LONGEST_FILE = 60.0
"""Seconds, silence included, of which no more is read."""
SHORTEST = 0.05
QUIETEST = 1e-3
"""Peak (-60 dB of full scale) below which a recording is silent."""


class Recordings:
    """Words said by `<class name>.wav` or `<index>.wav` in a folder."""

    def __init__(self, folder: Path, classes: tuple[str, ...], spoken: tuple[str, ...]) -> None:
        self._folder = folder
        self._files = dict(zip(spoken, _files(folder, classes), strict=True))

    def say(self, word: str) -> tuple[np.ndarray, int]:
        """Read the recording of a word. See `Engine.say`."""
        path = self._files[word]
        return checked(*read_sound(path), str(path))

    def recipe(self) -> dict[str, str | int | float]:
        """Tell that they are recordings, and the folder's own name. See `Engine.recipe`."""
        return {"engine": "recordings", "folder": self._folder.resolve().name}


def _files(folder: Path, classes: tuple[str, ...]) -> list[Path]:
    """The file of each class: all by name or all by index."""
    if not folder.is_dir():
        raise VivavoceError(f"{folder}: no such folder of recordings")
    found = {path.stem.casefold(): path for path in folder.iterdir() if path.suffix.lower() == ".wav"}
    if not found:
        raise VivavoceError(f"{folder}: holds no .wav; name them after the classes or number them from 0")
    by_name = [_stem(name) for name in classes]
    by_index = [str(k) for k in range(len(classes))]
    named, numbered = ([key for key in keys if key not in found] for keys in (by_name, by_index))
    if not named:
        return [found[key] for key in by_name]
    if not numbered:
        return [found[key] for key in by_index]
    k = by_name.index(named[0])
    raise VivavoceError(
        f"{folder}: no recording for class {k} {classes[k]!r}; expected {classes[k]}.wav "
        f"(or 0.wav to {len(classes) - 1}.wav, all of them)"
    )


def _stem(name: str) -> str:
    """File name of a class: a slash cannot be in one."""
    return name.replace("/", "_").casefold()


def read_sound(file: Path | BinaryIO, where: str = "") -> tuple[np.ndarray, int]:
    """Read a sound file of any rate, width or number of channels: float32 mono [n], rate.

    Channels are averaged.

    Args:
        file: its path, or the open file.
        where: what messages call it; default: its path.

    Raises:
        VivavoceError: the file is missing, not a sound file, or longer than a minute.
    """
    import librosa
    import soundfile

    try:
        with soundfile.SoundFile(file) as sound:  # librosa guesses on where soundfile gives up
            samples, rate = librosa.load(sound, sr=None, duration=LONGEST_FILE + 0.1)
    except librosa.ParameterError:
        raise VivavoceError(f"{where or file}: the recording has samples that are not numbers") from None
    except (OSError, soundfile.SoundFileError) as error:
        raise VivavoceError(f"{where or file}: not a sound file that can be read ({error})") from None
    if len(samples) > LONGEST_FILE * rate:
        raise VivavoceError(
            f"{where or file}: longer than {LONGEST_FILE:.0f} s; give a recording of one word"
        )
    return samples, int(rate)


def checked(samples: np.ndarray, rate: int, where: str) -> tuple[np.ndarray, int]:
    """Return the sound, unless it cannot be a word.

    Raises:
        VivavoceError: empty, not finite, silent, shorter than 0.05 s or longer than 5 s.
    """
    if not len(samples):
        raise VivavoceError(f"{where}: the recording is empty")
    if not np.isfinite(samples).all():
        raise VivavoceError(f"{where}: the recording has samples that are not numbers")
    if np.abs(samples).max() < QUIETEST:
        raise VivavoceError(f"{where}: the recording is silent")
    seconds = len(trim(samples)) / rate
    if seconds > LONGEST:
        raise VivavoceError(
            f"{where}: {seconds:.1f} s of sound is longer than a word (at most {LONGEST:.0f} s); cut it"
        )
    if seconds < SHORTEST:
        raise VivavoceError(f"{where}: {seconds * 1000:.0f} ms of sound is too short for a word")
    return samples, rate
