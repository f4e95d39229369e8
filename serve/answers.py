"""What a model says of an image: class, how sure, and the sound of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..artifacts import ExportedModel, decide
from ..artifacts.playback import waveform
from ..errors import VivavoceError


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
    distance: float | None
    """Mean squared distance of the predicted label to the nearest one; label models only."""
    loss: float | None
    """Mean smooth L1 to that label; label models only."""
    sure: bool | None
    """Whether `loss` is under the model's threshold; label models only."""
    label: np.ndarray | None
    """The predicted label, float32 [*label shape]."""


def answer_images(model: ExportedModel, images: np.ndarray) -> list[Answer]:
    """Ask a model about images float32 [N, C, H, W] in 0..1 of the size it takes."""
    outputs, manifest = model.answer(images), model.manifest
    answers = []
    for i, k in enumerate(decide(outputs.scores)):
        score = float(outputs.scores[i, k])
        loss = None if outputs.loss is None else float(outputs.loss[i, k])
        threshold = manifest.decoding.threshold
        answers.append(
            Answer(
                index=int(k),
                name=manifest.classes[k],
                spoken=manifest.spoken[k] if manifest.spoken else None,
                score=score,
                distance=-score * manifest.label.temperature if manifest.label else None,
                loss=loss,
                sure=None if loss is None or threshold is None else loss < threshold,
                label=None if outputs.label is None else outputs.label[i],
            )
        )
    return answers


def sound_of(model: ExportedModel, answer: Answer) -> tuple[np.ndarray, int]:
    """The sound of the *predicted* spectrogram, at the length of the decided class's own word.

    Returns:
        Mono float32 samples, and samples per second.

    Raises:
        VivavoceError: the model does not predict spectrograms.
    """
    label = model.manifest.label
    if answer.label is None or label is None or label.mel is None:
        raise VivavoceError(
            f"{model.path.name} does not speak: its labels are not spectrograms; try digits-speech"
        )
    frames = label.frames[answer.index] if label.frames else None
    return waveform(answer.label, frames, label.mel), label.mel.sample_rate
