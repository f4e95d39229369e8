"""Saying one answer after the other through the system's player, while work goes on."""

from __future__ import annotations

import tempfile
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

import numpy as np

from .playback import write_wav
from .player import play


class Speaker:
    """Plays what it is given in that order, never two at once; `with` waits for the last word."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[tuple[np.ndarray, int] | None] = SimpleQueue()
        self._thread = Thread(target=self._work, daemon=True)
        self.trouble: str | None = None
        """Why nothing can be heard, once that is known."""

    def say(self, samples: np.ndarray, rate: int) -> None:
        """Queue mono sound [n] in -1..1 of `rate` samples per second."""
        self._waiting.put((samples, rate))

    def __enter__(self) -> Speaker:
        """Begin to play."""
        self._thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Wait until all has been said; after an error or Ctrl-C only for the word being said."""
        while kind is not None and not self._waiting.empty():
            self._waiting.get()
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "answer.wav"
            while (sound := self._waiting.get()) is not None:
                if self.trouble is None:
                    write_wav(path, *sound)
                    self.trouble = play(path)
