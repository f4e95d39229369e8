"""Training images that stay on disk: for sets too big to hold in memory."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import numpy as np

from ..images import Fit, ImageSet


class LazyImages:
    """Images read and brought to size when they are asked for: like uint8 [N, 3, H, W].

    Args:
        source: where they come from.
        fit: their size.
        chosen: which of the source's, in which order; None: all.
    """

    def __init__(self, source: ImageSet, fit: Fit, chosen: np.ndarray | None = None) -> None:
        self.source, self.fit = source, fit
        self.chosen = np.arange(len(source)) if chosen is None else chosen
        self.shape = (len(self.chosen), fit.channels, fit.height, fit.width)

    def __len__(self) -> int:
        """Count the images."""
        return len(self.chosen)

    def __getitem__(self, indices: np.ndarray | slice) -> np.ndarray:
        """Read images, several at a time: uint8 [n, 3, H, W]."""
        found = list(self._pool.map(lambda i: self.source.read(int(i), self.fit), self.chosen[indices]))
        pixels = np.stack(found) if found else np.empty((0, *self.shape[2:], self.shape[1]), np.uint8)
        return pixels.transpose(0, 3, 1, 2)

    def view(self, indices: np.ndarray) -> LazyImages:
        """Those at `indices`, still unread."""
        return LazyImages(self.source, self.fit, self.chosen[indices])

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(os.cpu_count(), "images")  # Pillow decodes outside the interpreter's lock
