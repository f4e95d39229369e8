"""A model's answer to an image: class, certainty and sound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..artifacts import ExportedModel, decide
from ..artifacts.manifest import Label
from ..errors import VivavoceError
from ..sound import speaking
from ..sound.speaking import Voice


@dataclass(frozen=True)
class Answer:
    """The answer to one image."""

    index: int
    """Class index."""
    name: str
    """Class name."""
    spoken: str | None
    """The word said for it; None for a model without words."""
    score: float
    """The largest of the model's scores."""
    scores: np.ndarray
    """All of them, float32 [K]."""
    distance: float | None
    """Distance of the predicted label to the nearest one: the mean square, or by the bank's metric; label
    models only."""
    loss: float | None
    """What the threshold is for: mean smooth L1 to that label, or by the bank's metric; label models only."""
    sure: bool | None
    """Whether `loss` is under the model's threshold; label models only."""
    label: np.ndarray | None
    """The predicted label, float32 [*label shape]."""


def answer_images(model: ExportedModel, images: np.ndarray) -> list[Answer]:
    """Ask a model about images float32 [N, C, H, W] in 0..1 of the size it takes.

    Raises:
        VivavoceError: onnxruntime fails on them, or the highest score is not finite.
    """
    outputs, manifest = model.answer(images), model.manifest
    decided = decide(outputs.scores)
    if (decided < 0).any() or not np.isfinite(outputs.scores.max(1)).all():
        raise VivavoceError(f"{model.path.name}: its highest scores are not finite; no class can be named")
    answers = []
    for i, k in enumerate(decided):
        score = float(outputs.scores[i, k])
        loss = None if outputs.loss is None else float(outputs.loss[i, k])
        threshold = manifest.decoding.threshold
        answers.append(
            Answer(
                index=int(k),
                name=manifest.classes[k],
                spoken=manifest.spoken[k] if manifest.spoken else None,
                score=score,
                scores=outputs.scores[i],
                distance=_distance(manifest.label, score, loss),
                loss=loss,
                sure=None if loss is None or threshold is None else loss < threshold,
                label=None if outputs.label is None else outputs.label[i],
            )
        )
    return answers


def _distance(label: Label | None, score: float, loss: float | None) -> float | None:
    """The distance that decided: that behind the score, which is the loss by the metric of a bank."""
    if label is None:
        return None
    return loss if label.metric else -score * label.temperature


def sound_of(model: ExportedModel, answer: Answer, voice: Voice = "model") -> tuple[np.ndarray, int]:
    """The sound of an answer: mono float32 samples, and samples per second.

    Raises:
        VivavoceError: the model cannot speak.
    """
    return speaking.sound_of(model, answer.index, answer.scores, answer.label, voice)
