"""CMU Flite through its command; the voice `rms` speaks every bank that ships."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from ....errors import VivavoceError
from . import UnavailableError, primary
from .recordings import checked, read_sound
from .spelling import refuse_unsayable

VOICE = "rms"


class Flite:
    """English words by Flite, a program with a free licence (BSD-like)."""

    def __init__(self, command: str, voice: str) -> None:
        self._command = command
        self._voice = voice

    def say(self, word: str) -> tuple[np.ndarray, int]:
        """Speak an English word. See `Engine.say`."""
        refuse_unsayable(word, "flite", english=True)
        # Flite reads bytes: it skips an accented letter without a word.
        if not word.isascii():
            raise VivavoceError(f"flite cannot say {word!r}: it reads plain English letters only")
        with tempfile.TemporaryDirectory() as folder:
            wav = Path(folder, "word.wav")
            done = subprocess.run(
                [self._command, "-voice", self._voice, "-t", word, "-o", str(wav)],
                capture_output=True,
                text=True,
            )
            if done.returncode or not wav.is_file():
                raise VivavoceError(f"flite could not say {word!r}: {done.stderr.strip() or 'no sound'}")
            return checked(*read_sound(wav), f"{word!r} said by flite")

    def recipe(self) -> dict[str, str | int | float]:
        """Engine, version and voice. See `Engine.recipe`."""
        text = subprocess.run([self._command, "--version"], capture_output=True, text=True).stdout
        version = re.search(r"version: (\S+)", text)
        return {"engine": "flite", "version": version[1] if version else "unknown", "voice": self._voice}


def open_engine(language: str, voice: str | None) -> Flite:
    """Open Flite.

    Raises:
        UnavailableError: it is not installed, lacks the voice, or the language is not English.
    """
    command = shutil.which("flite")
    if command is None:
        raise UnavailableError("flite is not installed (Debian and Ubuntu: apt install flite)")
    if primary(language) != "en":
        raise UnavailableError(f"flite speaks English only, not {language!r}")
    listed = subprocess.run([command, "-lv"], capture_output=True, text=True).stdout
    voices = listed.partition(":")[2].split()
    if (voice or VOICE) not in voices:
        raise UnavailableError(f"flite has no voice {voice or VOICE!r} here; it has {', '.join(voices)}")
    return Flite(command, voice or VOICE)
