"""CMU Flite through its command; the voice `rms` speaks every bank that ships."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from ....errors import VivavoceError
from .recordings import checked, read_sound

VOICE = "rms"


class Flite:
    """English words by Flite, a program with a free licence (BSD-like)."""

    def __init__(self, command: str, voice: str) -> None:
        self._command = command
        self._voice = voice

    def say(self, word: str) -> tuple[np.ndarray, int]:
        """Speak an English word. See `Engine.say`."""
        # Flite skips what it has no letters for, without a word.
        if not re.search("[A-Za-z0-9]", word) or not word.isascii():
            raise VivavoceError(
                f"flite cannot say {word!r}: it speaks English in plain letters; give another spoken word"
            )
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
        VivavoceError: it is not installed, lacks the voice, or the language is not English.
    """
    if language.split("-")[0].lower() != "en":
        raise VivavoceError(f"flite speaks English only, not {language!r}")
    command = shutil.which("flite")
    if command is None:
        raise VivavoceError("flite is not installed (Debian and Ubuntu: apt install flite)")
    listed = subprocess.run([command, "-lv"], capture_output=True, text=True).stdout
    voices = listed.partition(":")[2].split()
    if (voice or VOICE) not in voices:
        raise VivavoceError(f"flite has no voice {voice or VOICE!r} here; it has {', '.join(voices)}")
    return Flite(command, voice or VOICE)
