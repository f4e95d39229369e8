"""What a model says of an image: class, how sure, and the sound of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..artifacts import ExportedModel, Outputs, decide
from ..errors import VivavoceError
from ..sound.playback import waveform

Voice = Literal["model", "label"]
"""Whose sound: of the *predicted* spectrogram, or of the label nearest to it."""


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
    """Mean squared distance of the predicted label to the nearest one; label models only."""
    loss: float | None
    """Mean smooth L1 to that label; label models only."""
    sure: bool | None
    """Whether `loss` is under the model's threshold; label models only."""
    label: np.ndarray | None
    """The predicted label, float32 [*label shape]."""


def answer_images(model: ExportedModel, images: np.ndarray) -> list[Answer]:
    """Ask a model about images float32 [N, C, H, W] in 0..1 of the size it takes.

    Raises:
        VivavoceError: onnxruntime fails on them, or a score is not a number.
    """
    outputs, manifest = model.answer(images), model.manifest
    decided = decide(outputs.scores)
    if (decided < 0).any():
        raise VivavoceError(f"{model.path.name}: its scores are not numbers; the file is broken")
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
                distance=-score * manifest.label.temperature if manifest.label else None,
                loss=loss,
                sure=None if loss is None or threshold is None else loss < threshold,
                label=None if outputs.label is None else outputs.label[i],
            )
        )
    return answers


def check_voice(model: ExportedModel) -> None:
    """Refuse a model that cannot speak.

    Raises:
        VivavoceError: the model predicts no spectrograms and carries no sounds of its class names.
    """
    if not speaks(model):
        raise VivavoceError(
            f"{model.path.name} does not speak: its labels are not spectrograms, and it was given no sounds "
            "of its class names (vivavoce train --name-audio BANK); try digits-speech"
        )


def check_spectrograms(model: ExportedModel) -> None:
    """Refuse a model whose own predictions have no sound.

    Raises:
        VivavoceError: the model does not predict spectrograms.
    """
    label = model.manifest.label
    if label is None or label.mel is None:
        raise VivavoceError(
            f"{model.path.name} predicts no spectrograms that can be heard; try digits-speech"
        )


def speaks(model: ExportedModel) -> bool:
    """Whether there is a sound for an answer: a predicted spectrogram's, or a stored class name's."""
    label = model.manifest.label
    return (label is not None and label.mel is not None) or says_names(model)


def says_names(model: ExportedModel) -> bool:
    """Whether a model with silent labels carries the sounds of its class names."""
    label = model.manifest.label
    return model.name_audio is not None and (label is None or label.mel is None)


def sound_of(model: ExportedModel, answer: Answer, voice: Voice = "model") -> tuple[np.ndarray, int]:
    """The sound of an answer, at the length of the decided class's own word.

    A file with a vocoder makes the sound of its prediction itself. A model with silent labels that was given
    the sounds of its class names says the name of the class.

    Returns:
        Mono float32 samples, and samples per second.

    Raises:
        VivavoceError: the model cannot speak.
    """
    check_voice(model)
    label, names = model.manifest.label, model.manifest.names
    if says_names(model):
        assert names is not None
        assert model.name_audio is not None
        frames = names.frames[answer.index] if names.frames else None
        return waveform(model.name_audio[answer.index], frames, names.mel), names.mel.sample_rate
    assert label is not None
    assert label.mel is not None
    assert answer.label is not None
    if voice == "model" and model.voice is not None:
        return model.voice(Outputs(answer.scores[None], answer.label[None]))[0], label.mel.sample_rate
    frames = label.frames[answer.index] if label.frames else None
    picture = answer.label if voice == "model" or model.bank is None else model.bank[answer.index]
    return waveform(picture, frames, label.mel), label.mel.sample_rate
