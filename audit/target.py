"""A model plus its gradient: all that an attack sees."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..artifacts import ExportedModel, Outputs
from ..artifacts.onnx_model import OnnxModel

Gradient = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]
"""Images [N, C, H, W] and classes [N] to loss [N], gradient [N, C, H, W] and scores [N, K]."""


class Target:
    """An exported model under attack, with a tally of what attacks asked of it.

    Args:
        model: the exported model.
        loss: what attacks climb: `smooth-l1` (to the class's bank row) or `cross-entropy`; None:
            smooth L1 for label models, cross-entropy for the others (Chen et al. 2021, section 4.2).
    """

    def __init__(self, model: ExportedModel, loss: str | None = None) -> None:
        self.model = model
        self.loss = loss or ("smooth-l1" if model.manifest.label else "cross-entropy")
        self.queries = 0
        """Images the file has answered."""
        self.gradients = 0
        """Gradients taken, counted per image."""
        self.dead = 0
        """Of those, the ones that were zero everywhere or not finite."""
        self._gradient: Gradient | None = None

    def answer(self, images: np.ndarray) -> Outputs:
        """Ask the file itself; images [N, C, H, W] in 0..1."""
        self.queries += len(images)
        return self.model.answer(images)

    def gradient(self, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Gradient of each image's loss for its class: float32 [N, C, H, W]."""
        if self._gradient is None:
            self._gradient = _gradient_of(self.model, self.loss)
        _, gradient, _ = self._gradient(images, classes)
        flat = gradient.reshape(len(gradient), -1)
        alive = np.isfinite(flat).all(1) & (flat != 0).any(1)
        self.gradients += len(images)
        self.dead += int((~alive).sum())
        return np.where(np.isfinite(gradient), gradient, 0)


def _gradient_of(model: ExportedModel, loss: str) -> Gradient:
    if isinstance(model, OnnxModel):
        from .gradient.session import InputGradient

        return InputGradient(model.graph, loss, image="image", device=model.device)
    from .gradient.torchscript import TorchScriptGradient

    return TorchScriptGradient(model.module, loss, model.device)  # type: ignore[attr-defined]
