"""The random numbers of one change of one image, drawn one after another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..attacks.streams import Streams


class Draws:
    """Draws from the stream of one image; the same in every batch.

    Args:
        streams: of one image.
    """

    def __init__(self, streams: Streams) -> None:
        self._streams, self._step = streams, -1

    def uniform(self, low: float = 0.0, high: float = 1.0, shape: Sequence[int] = ()) -> np.ndarray:
        """Draw from low <= u < high: float64 [*shape]."""
        self._step += 1
        return low + (high - low) * self._streams.uniform(self._step, shape)[0].astype(np.float64)

    def normal(self, mean: float, deviation: float, shape: Sequence[int]) -> np.ndarray:
        """Draw from a normal distribution: float64 [*shape]."""
        self._step += 1
        return mean + deviation * self._streams.normal(self._step, shape)[0].astype(np.float64)

    def integers(self, low: int, high: int, shape: Sequence[int] = ()) -> np.ndarray:
        """Draw from low, ..., high - 1: int64 [*shape]."""
        self._step += 1
        return low + self._streams.integers(self._step, high - low, shape)[0]

    def sign(self) -> int:
        """Draw -1 or 1."""
        return int(2 * self.integers(0, 2) - 1)
