"""A model plus its gradient: all that an attack sees."""

from __future__ import annotations

from functools import cached_property
from typing import Protocol

import numpy as np

from ..artifacts import ExportedModel, Outputs
from ..artifacts.onnx_model import OnnxModel
from ..gradient.errors import UnsupportedOperator

MEMORY = 2_000_000_000
"""Resident memory that an audit keeps to when it chooses its batch size, bytes."""
LARGEST = 64
"""Most images at a time; larger batches are not faster."""


class Gradient(Protocol):
    """One loss of one model, and how it changes with the image."""

    def __call__(
        self, images: np.ndarray, goals: np.ndarray, rivals: np.ndarray | None = None, /
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Map images [N, C, H, W] and classes [N] to loss [N], gradient [N, C, H, W] and scores [N, K]."""
        ...


class Target:
    """An exported model under attack, with a tally of what attacks asked of it.

    Args:
        model: the exported model.
        loss: what attacks climb that choose none themselves: `smooth-l1` (to the class's bank row) or
            one on the scores, see `gradient.losses`; None: smooth L1 for label models, cross-entropy
            for the others (Chen et al. 2021, section 4.2).
        straight_through: take step functions as the identity in the gradient, instead of having none.
    """

    def __init__(self, model: ExportedModel, loss: str | None = None, straight_through: bool = False) -> None:
        self.model, self.straight_through = model, straight_through
        self.loss = loss or ("smooth-l1" if model.manifest.label else "cross-entropy")
        self.queries = 0
        """Images the file has answered."""
        self.gradients = 0
        """Gradients taken, counted per image."""
        self.dead = 0
        """Of those, the ones that were zero everywhere or not finite."""
        self.notes: list[str] = []
        """What attacks had to do otherwise than published, and why; each once."""
        self._gradients: dict[str, Gradient] = {}

    @property
    def classes(self) -> int:
        """Number of classes K."""
        return len(self.model.manifest.classes)

    @cached_property
    def gradient_missing(self) -> str | None:
        """Why no gradient is available; None if it is."""
        try:
            self._gradients[self.loss] = self._gradient_of(self.loss)
        except UnsupportedOperator as error:
            return str(error)
        return None

    def answer(self, images: np.ndarray) -> Outputs:
        """Ask the file itself; images [N, C, H, W] in 0..1."""
        self.queries += len(images)
        return self.model.answer(images)

    def gradient(
        self,
        images: np.ndarray,
        classes: np.ndarray,
        loss: str | None = None,
        rivals: np.ndarray | None = None,
    ) -> np.ndarray:
        """Gradient of each image's loss for its class: float32 [N, C, H, W]; see `loss_and_gradient`."""
        return self.loss_and_gradient(images, classes, loss or self.loss, rivals)[1]

    def loss_and_gradient(
        self, images: np.ndarray, classes: np.ndarray, loss: str, rivals: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A loss, its gradient and the scores behind it.

        Args:
            images: float32 [N, C, H, W] in 0..1.
            classes: int64 [N], the class that each image's loss is about.
            loss: a name in `gradient.losses.LOSSES`.
            rivals: int64 [N], the class it is played off against, for losses between two classes.

        Returns:
            loss float32 [N], gradient float32 [N, C, H, W] with zeros where it is not finite, and scores
            float32 [N, K].

        Raises:
            UnsupportedOperator: no gradient is available; attacks without gradients still work.
        """
        if loss not in self._gradients:
            self._gradients[loss] = self._gradient_of(loss)
        value, gradient, scores = self._gradients[loss](images, classes, rivals)
        flat = gradient.reshape(len(gradient), -1)
        alive = np.isfinite(flat).all(1) & (flat != 0).any(1)
        self.gradients += len(images)
        self.dead += int((~alive).sum())
        return value, np.where(np.isfinite(gradient), gradient, 0), scores

    def note(self, text: str) -> None:
        """Remember, once, that an attack did something otherwise than published."""
        if text not in self.notes:
            self.notes.append(text)

    def fitting_batch(self, budget: int = MEMORY) -> int:
        """How many images at a time fit a budget of resident memory in bytes; 64 for models run by torch."""
        if not isinstance(self.model, OnnxModel) or self.gradient_missing is not None:
            return LARGEST
        from ..gradient.memory import batch_size

        return batch_size(self.model.graph, budget, self.loss, largest=LARGEST)

    def _gradient_of(self, loss: str) -> Gradient:
        model = self.model
        if isinstance(model, OnnxModel):
            from ..gradient.session import InputGradient

            return InputGradient(
                model.graph, loss, device=model.device, straight_through=self.straight_through
            )
        from ..gradient.torchscript import TorchScriptGradient

        return TorchScriptGradient(model.module, loss, model.device)  # type: ignore[attr-defined]
