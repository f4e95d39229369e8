"""The losses of an opened model and their gradients, whatever kind of file it is."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ..artifacts import ExportedModel
from ..artifacts.onnx_model import OnnxModel


class Gradient(Protocol):
    """The losses of one model, and how they change with the image."""

    def __call__(
        self, images: np.ndarray, goals: np.ndarray, rivals: np.ndarray | None = None, /, *, loss: str
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Map images [N, C, H, W] and classes [N] to loss [N], gradient [N, C, H, W] and scores [N, K]."""
        ...

    def strayed(self, scores: np.ndarray, /) -> np.ndarray:
        """Which images of the last call the file scores otherwise, beyond rounding: bool [N]."""
        ...

    def limit(self, count: int, budget: int, /) -> None:
        """Compute at most `count` images at a time, and keep to the budget where that is possible."""
        ...


def gradient_of(model: ExportedModel, loss: str, by_smooth_l1: bool, straight_through: bool) -> Gradient:
    """Make the gradient of every loss that an attack may choose.

    Args:
        model: the opened file.
        loss: the first of them.
        by_smooth_l1: whether smooth L1 to a label is one of them.
        straight_through: take an estimate where step functions leave none; for ONNX files.

    Raises:
        VivavoceError: the gradient is not available.
    """
    if isinstance(model, OnnxModel):
        from ..gradient.losses import LOSSES
        from ..gradient.session import InputGradient

        return InputGradient(
            model.graph,
            loss,
            also=tuple(n for n in LOSSES if LOSSES[n].output == "scores" or by_smooth_l1),
            device=model.device,
            straight_through=straight_through,
        )
    from ..gradient.torchscript import gradient_of as of_torch

    return of_torch(model, loss)  # type: ignore[arg-type]
