"""Piper, a neural engine, in a process of its own.

Piper is GPL-3, and its onnxruntime must not meet onnxruntime-gpu in one process: this module never imports
it. It may even live in another environment, whose interpreter VIVAVOCE_PIPER_PYTHON names.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import weakref
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import numpy as np

from ....errors import VivavoceError
from . import UnavailableError, primary
from .recordings import checked
from .spelling import refuse_unsayable

INTERPRETER = "VIVAVOCE_PIPER_PYTHON"
SETTINGS = {"noise_scale": 0.0, "noise_w_scale": 0.0, "length_scale": 1.3}
"""Without noise a word is always the same sound (with Piper's own noise, two sayings of one word differ
more than the threshold between classes); a third slower, because single words are hard to follow."""
WORKER = Path(__file__).with_name("piper_worker.py")


class Piper:
    """Words by a Piper voice."""

    def __init__(self, process: subprocess.Popen[bytes], errors: IO[bytes], language: str) -> None:
        """Wait for the process to be ready.

        Raises:
            UnavailableError: Piper or its voice could not be loaded, or the voice has another language.
        """
        self._process = process
        self._errors = errors
        weakref.finalize(self, _stop, process, errors)
        self._about = self._answer()
        if "error" in self._about:
            raise UnavailableError(str(self._about["error"]))
        spoken = str(self._about["language"])
        if primary(spoken) != primary(language):
            raise UnavailableError(
                f"the Piper voice {self._about['voice']} speaks {spoken}, not {language!r}; "
                "give a voice of that language with --voice FILE.onnx"
            )

    def say(self, word: str) -> tuple[np.ndarray, int]:
        """Speak a word. See `Engine.say`."""
        refuse_unsayable(word, "Piper", english=primary(str(self._about["language"])) == "en")
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(word).encode() + b"\n")
        stdin.flush()
        answer = self._answer()
        if "error" in answer:
            raise VivavoceError(f"Piper could not say {word!r}: {answer['error']}")
        data = stdout.read(int(answer["bytes"]))
        samples = np.frombuffer(data, "<i2").astype(np.float32) / 32768
        return checked(samples, int(answer["rate"]), f"{word!r} said by Piper")

    def recipe(self) -> dict[str, str | int | float]:
        """Engine, version, voice and settings. See `Engine.recipe`."""
        return {
            "engine": "piper",
            "version": self._about["version"],
            "voice": self._about["voice"],
            **SETTINGS,
        }

    def _answer(self) -> dict[str, str | int]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            last = self._errors.read().decode(errors="replace").strip().splitlines()[-1:]
            raise UnavailableError(f"Piper stopped: {last[0] if last else 'it did not say why'}")
        return json.loads(line)


def _stop(process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
    """End the process: closing its input is the signal."""
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    process.stdout.close()
    process.wait()
    errors.close()


def open_engine(language: str, voice: str | None) -> Piper:
    """Start Piper with a voice (a path to its `.onnx`), or with the English voice of the `speech` extra.

    Raises:
        UnavailableError: it is not installed, or the voice cannot be loaded or speaks another language.
    """
    interpreter = os.environ.get(INTERPRETER) or sys.executable
    if INTERPRETER not in os.environ and find_spec("piper") is None:
        raise UnavailableError("Piper is not installed (pip install 'vivavoce[speech]')")
    if voice is not None and not Path(voice).is_file():
        raise UnavailableError(
            f"{voice}: no such Piper voice; give the path of its .onnx, its .onnx.json beside it"
        )
    arguments = {"voice": voice, **SETTINGS}
    errors = tempfile.TemporaryFile()  # noqa: SIM115  (it lives as long as the process)
    try:
        process = subprocess.Popen(
            [interpreter, str(WORKER), json.dumps(arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    except OSError as error:
        errors.close()
        raise UnavailableError(f"{INTERPRETER}={interpreter} cannot be run ({error.strerror})") from None
    return Piper(process, errors, language)
