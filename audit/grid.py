"""Pixels of files that take whole numbers: they are rounded before the file sees them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..artifacts import ExportedModel
from ..artifacts.front import WHOLE
from ..artifacts.onnx_model import OnnxModel

ON_GRID = 1e-3
"""Of a step: how far float32 may put a value of the grid from where it is."""


@dataclass(frozen=True)
class Grid:
    """The values that pixels have for such a file: `offset` plus a whole number of steps."""

    offset: np.ndarray
    """float64 [C, 1, 1], in units of 0..1, like the step."""
    step: np.ndarray

    @classmethod
    def of(cls, model: ExportedModel) -> Grid | None:
        """The grid of a model; None for one that takes any value."""
        if not _rounds(model):
            return None
        entry = model.manifest.input
        return cls(*(np.array(v, np.float64).reshape(-1, 1, 1) for v in (entry.mean, entry.std)))

    def place(self, images: np.ndarray) -> np.ndarray:
        """Where images [N, C, H, W] are on the grid, in steps."""
        return (images.astype(np.float64) - self.offset) / self.step

    def at(self, places: np.ndarray) -> np.ndarray:
        """The images at places on the grid."""
        return (self.offset + places * self.step).astype(np.float32)


def _rounds(model: ExportedModel) -> bool:
    """Whether the model rounds pixels: its file takes whole numbers, or was exported from one that does."""
    if model.understood is not None:
        return model.understood.entry.whole
    return isinstance(model, OnnxModel) and any(n.name.startswith(WHOLE) for n in model.graph.graph.node)
