"""espeak-ng, a formant engine for a hundred languages: one fresh process per word.

A second word in the same process sounds different from the same word said first. It is GPL-3: neither the
program nor the library is loaded here.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ....errors import VivavoceError
from . import UnavailableError, primary
from .recordings import checked, read_sound
from .spelling import refuse_unsayable

ENGLISH = "en-us"
WORKER = Path(__file__).with_name("espeak_worker.py")


class Espeak:
    """Words by espeak-ng's command or, if it is not installed, by the library of a package."""

    def __init__(self, command: str | None, voice: str) -> None:
        self._command = command
        self._voice = voice

    def say(self, word: str) -> tuple[np.ndarray, int]:
        """Speak a word. See `Engine.say`."""
        refuse_unsayable(word, "espeak-ng", english=primary(self._voice) == "en")
        samples, rate = self._by_command(word) if self._command else self._by_library(word)
        return checked(samples, rate, f"{word!r} said by espeak-ng")

    def recipe(self) -> dict[str, str | int | float]:
        """Engine, version and voice. See `Engine.recipe`."""
        return {"engine": "espeak-ng", "version": self._version(), "voice": self._voice}

    def _version(self) -> str:
        if self._command:
            text = subprocess.run([self._command, "--version"], capture_output=True, text=True).stdout
            found = re.search(r"\d+\.\d[\w.]*", text)
            return found[0] if found else "unknown"
        try:
            return f"espeakng-loader {version('espeakng-loader')}"
        except PackageNotFoundError:
            return "unknown"

    def _by_command(self, word: str) -> tuple[np.ndarray, int]:
        assert self._command is not None
        with tempfile.TemporaryDirectory() as folder:
            wav = Path(folder, "word.wav")
            done = subprocess.run(
                [self._command, "-v", self._voice, "-w", str(wav), "--stdin"],
                input=word.encode(),
                capture_output=True,
            )
            if done.returncode or not wav.is_file():
                reason = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
                raise VivavoceError(
                    f"espeak-ng could not say {word!r}: {reason[0] if reason else 'no sound'}"
                )
            return read_sound(wav)

    def _by_library(self, word: str) -> tuple[np.ndarray, int]:
        folder = _library_folder()
        assert folder is not None
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(WORKER), str(folder), self._voice],
            input=word.encode(),
            capture_output=True,
        )
        if done.returncode:
            reason = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
            raise VivavoceError(f"espeak-ng could not say {word!r}: {reason[0] if reason else 'it stopped'}")
        header, _, sound = done.stdout.partition(b"\n")
        return np.frombuffer(sound, "<i2").astype(np.float32) / 32768, json.loads(header)["rate"]


def _library_folder() -> Path | None:
    """Where the package `espeakng-loader` keeps the library and its data; the package is not imported."""
    found = find_spec("espeakng_loader")
    return Path(found.origin).parent if found and found.origin else None


def open_engine(language: str, voice: str | None) -> Espeak:
    """Open espeak-ng with a voice, or with that of the language.

    Raises:
        UnavailableError: it is not installed, or has no such voice.
    """
    command = shutil.which("espeak-ng")
    if command is None and _library_folder() is None:
        raise UnavailableError(
            "espeak-ng is not installed (Debian: apt install espeak-ng; or: pip install 'vivavoce[espeak]')"
        )
    name = voice or (ENGLISH if language.lower() == "en" else language.replace("_", "-").lower())
    engine = Espeak(command, name)
    try:
        engine.say("a")
    except VivavoceError as error:
        raise UnavailableError(f"espeak-ng has no voice {name!r} ({error})") from None
    return engine
