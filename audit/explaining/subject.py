"""The model that is explained: one number per image, and its gradient."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import numpy as np

from ...artifacts import ExportedModel, Outputs
from ...artifacts.onnx_model import OnnxModel
from ...errors import VivavoceError
from ...gradient import Evaluation, InputGradient
from ...gradient.agreement import SHARE
from ..target import Target

Quantity = Literal["score", "probability", "distance"]
LOSSES: dict[str, tuple[str, float]] = {
    "score": ("score", 1),
    "contrast": ("contrast", 1),
    "probability": ("probability", 1),
    "distance": ("smooth-l1", -1),
    "difference": ("difference", -1),
}
"""The loss of the gradient that measures a quantity, and its sign: all of them grow with the evidence."""
AT_ONCE = 32
"""Most images in one run of the gradient."""


class Subject:
    """A model and the number that is explained: how much speaks for a class.

    Args:
        model: from `open_model`.
        quantity: `score` (on the scale of logits; for models that predict labels minus the mean of all
            scores, because a score itself is flat where the prediction meets its label), `probability`
            (softmax of the scores), or `distance` (minus the distance of the prediction to the label of the
            class, by which thresholds decide; label models only).
        against: explain the score of a class minus that of this one.

    Raises:
        VivavoceError: the model has no such number.
    """

    def __init__(
        self, model: ExportedModel, quantity: Quantity = "score", against: int | None = None
    ) -> None:
        if quantity not in ("score", "probability", "distance"):
            raise VivavoceError(f"no quantity {quantity!r}; choose score, probability or distance")
        if quantity == "distance" and model.manifest.label is None:
            raise VivavoceError(
                f"{model.path}: this model predicts no labels, so it has no distance to one; "
                "explain the score or the probability"
            )
        if against is not None and quantity != "score":
            raise VivavoceError(f"--against compares scores and cannot be used with --quantity {quantity}")
        self.model, self.against = model, against
        self.asked: Quantity = quantity
        self.quantity: str = quantity
        if quantity == "score" and model.manifest.label is not None:
            self.quantity = "contrast"
        if against is not None:
            self.quantity = "difference"
        label = model.manifest.label
        # By the metric of a bank a distance falls as the score grows, by a constant factor.
        by_score = self.quantity == "distance" and label and label.metric
        self.loss, self.sign = ("score", label.temperature) if label and by_score else LOSSES[self.quantity]
        # Its own loss is the one that is tried, and that needs no second class.
        self.target = Target(model, self.loss if against is None else "score")
        self._inner: dict[str, InputGradient] = {}

    @cached_property
    def batch(self) -> int:
        """Images at a time: as many as keep memory in bounds, and at most 32."""
        return min(self.target.fitting_batch(), AT_ONCE)

    def why_no_gradient(self, images: np.ndarray) -> str | None:
        """Why explanations by the gradient are not available; None if they are.

        Args:
            images: float32 [N, C, H, W] in 0..1, on which the gradient's scores are compared with the file's.
        """
        self.target.try_gradient(images)
        return self.target.gradient_missing

    def why_no_inner(self, layer: str, images: np.ndarray) -> str | None:
        """Why explanations by the gradient of a layer are not available; None if they are.

        Args:
            layer: name of a value inside the model.
            images: float32 [N, C, H, W] in 0..1, on which the gradient's scores are compared with the file's.
        """
        try:
            self.inner(layer, images, np.zeros(len(images), np.int64))
            off = self._inside(layer).strayed(self.model.answer(images).scores)
        except VivavoceError as error:
            return str(error)
        if off.mean() > SHARE:
            return "the scores of its gradient graph are not those of the file"
        return None

    def values(self, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """The number by the file itself, float64 [N], of images [N, C, H, W] for classes [N]."""
        outputs = [self.model.answer(images[k : k + 64]) for k in range(0, len(images), 64)]
        return np.concatenate([self.read(o, classes[64 * k : 64 * k + 64]) for k, o in enumerate(outputs)])

    def read(self, outputs: Outputs, classes: np.ndarray) -> np.ndarray:
        """The number in a model's answers, float64 [N]."""
        rows, scores = np.arange(len(classes)), outputs.scores.astype(np.float64)
        if self.quantity == "distance":
            assert outputs.loss is not None
            return -outputs.loss[rows, classes].astype(np.float64)
        if self.quantity == "probability":
            scores = softmax(scores)
        own = scores[rows, classes]
        if self.quantity == "contrast":
            own = own - scores.mean(1)
        return own if self.against is None else own - scores[rows, self.against]

    def gradient(self, images: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The number [N] and its gradient [N, C, H, W] for images [N, C, H, W] and their classes [N]."""
        found = [
            self.target.loss_and_gradient(
                images[part], classes[part], self.loss, self._rivals(part), as_it_is=True
            )
            for part in self._parts(len(images))
        ]
        value, gradient = (np.concatenate(arrays) for arrays in list(zip(*found, strict=True))[:2])
        return self.sign * value, self.sign * gradient

    def inner(self, layer: str, images: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What a value inside the model holds [N, ...], and the number's gradient with respect to it.

        Raises:
            VivavoceError: there is no such value, or no gradient.
        """
        found: list[Evaluation] = [
            self._inside(layer).evaluate(images[part], classes[part], self._rivals(part))
            for part in self._parts(len(images))
        ]
        value = np.concatenate([e.value for e in found if e.value is not None])
        gradient = self.sign * np.concatenate([e.gradient for e in found])
        return value, np.where(np.isfinite(gradient), gradient, 0)

    def _inside(self, layer: str) -> InputGradient:
        assert isinstance(self.model, OnnxModel)
        if layer not in self._inner:
            self._inner[layer] = InputGradient(
                self.model.graph, self.loss, device=self.model.device, of=layer
            )
        return self._inner[layer]

    def _parts(self, count: int) -> list[slice]:
        return [slice(k, min(k + self.batch, count)) for k in range(0, count, self.batch)]

    def _rivals(self, part: slice) -> np.ndarray | None:
        return None if self.against is None else np.full(part.stop - part.start, self.against)


def softmax(scores: np.ndarray) -> np.ndarray:
    """Softmax over the last axis, float64; NaN where scores are not finite."""
    with np.errstate(invalid="ignore"):
        raised = np.exp(scores.astype(np.float64) - scores.max(-1, keepdims=True))
        return raised / raised.sum(-1, keepdims=True)
