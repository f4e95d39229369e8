"""Speech engines and recordings behind one interface."""

from __future__ import annotations

from importlib import import_module
from typing import Protocol

import numpy as np

from ....errors import VivavoceError

ENGINES = {"flite": "flite", "piper": "piper", "espeak-ng": "espeak", "google": "google"}
"""Engine name -> module beside this one."""
TRIED = ("flite", "piper", "espeak-ng")
"""Engines that are tried, in this order, when none is named; Google's costs money and needs the network."""


class Engine(Protocol):
    """Says words."""

    def say(self, word: str) -> tuple[np.ndarray, int]:
        """Speak one word.

        Returns:
            Mono float32 samples [n] in -1..1 and their rate per second.

        Raises:
            VivavoceError: the word cannot be said.
        """
        ...

    def recipe(self) -> dict[str, str | int | float]:
        """Tell what spoke: engine, version, voice and settings, for the bank to carry."""
        ...


class UnavailableError(VivavoceError):
    """An engine that is not installed here or does not speak the language: another may do."""


def choose(name: str | None, language: str, voice: str | None) -> Engine:
    """Open the engine called `name`, or the first that is installed and speaks the language.

    Raises:
        VivavoceError: unknown, not installed, or without a voice for the language.
    """
    if name is not None:
        if name not in ENGINES:
            raise VivavoceError(f"no speech engine {name!r}; there are {', '.join(ENGINES)}")
        return _open(name, language, voice)
    reasons = []
    for candidate in TRIED:
        try:
            return _open(candidate, language, voice)
        except UnavailableError as reason:
            reasons.append(str(reason))
    raise VivavoceError(
        f"no speech engine can be used: {'; '.join(reasons)}; or give a folder of recordings with --wavs"
    )


def _open(name: str, language: str, voice: str | None) -> Engine:
    return import_module(f".{ENGINES[name]}", __package__).open_engine(language, voice)


def primary(language: str) -> str:
    """The language of a code, without region: `en` for `en-GB` or `en_US`."""
    return language.replace("_", "-").partition("-")[0].lower()
