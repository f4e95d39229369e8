"""Who says a word: speech engines and recordings behind one small interface."""

from __future__ import annotations

from importlib import import_module
from typing import Protocol

import numpy as np

from ....errors import VivavoceError

ENGINES = {"flite": "flite"}
"""Engine name -> module beside this one, in the order in which they are tried."""


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


def choose(name: str | None, language: str, voice: str | None) -> Engine:
    """The engine called `name`, or the first that is installed and speaks the language.

    Raises:
        VivavoceError: unknown or not installed, or no voice for the language.
    """
    if name is not None:
        if name not in ENGINES:
            raise VivavoceError(f"no speech engine {name!r}; there are {', '.join(ENGINES)}")
        return _open(name, language, voice)
    refusals = []
    for candidate in ENGINES:
        try:
            return _open(candidate, language, voice)
        except VivavoceError as refusal:
            refusals.append(str(refusal))
    raise VivavoceError("no speech engine can be used: " + "; ".join(refusals))


def _open(name: str, language: str, voice: str | None) -> Engine:
    return import_module(f".{ENGINES[name]}", __package__).open_engine(language, voice)
