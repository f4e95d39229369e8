"""Which models speak, and what the sound of an answer is."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ..artifacts import ExportedModel, Outputs
from ..errors import VivavoceError
from .playback import waveform

Voice = Literal["model", "label"]
"""Which spectrogram is played: the *predicted* one, or the label nearest to it."""


def speaks(model: ExportedModel) -> bool:
    """Whether an answer has a sound: that of a predicted spectrogram or of a stored class name."""
    return _predicts_spectrograms(model) or says_names(model)


def says_names(model: ExportedModel) -> bool:
    """Whether a model with silent labels carries the sounds of its class names."""
    return model.name_audio is not None and not _predicts_spectrograms(model)


def _predicts_spectrograms(model: ExportedModel) -> bool:
    label = model.manifest.label
    return label is not None and label.mel is not None


def check_voice(model: ExportedModel) -> None:
    """Refuse a model that cannot speak.

    Raises:
        VivavoceError: the model predicts no spectrograms and carries no sounds of its class names.
    """
    if not speaks(model):
        raise VivavoceError(
            f"{model.path.name} does not speak: its labels are not spectrograms, and it holds no sounds "
            "of its class names (vivavoce train --name-audio BANK); try digits-speech"
        )


def sound_of(
    model: ExportedModel,
    decision: int,
    scores: np.ndarray,
    label: np.ndarray | None,
    voice: Voice = "model",
) -> tuple[np.ndarray, int]:
    """The sound of one answer, at the length of the decided class's own word.

    A file with a vocoder makes the sound of its prediction itself. A model with silent labels and stored
    sounds of its class names says the name of the class.

    Args:
        model: the model that answered.
        decision: index of the decided class.
        scores: float32 [K].
        label: the predicted label, float32 [*label shape]; None for a model on logits.
        voice: which spectrogram to play.

    Returns:
        Mono float32 samples, and samples per second.

    Raises:
        VivavoceError: the model cannot speak.
    """
    check_voice(model)
    about, names = model.manifest.label, model.manifest.names
    if says_names(model):
        assert names is not None
        assert model.name_audio is not None
        frames = names.frames[decision] if names.frames else None
        return waveform(model.name_audio[decision], frames, names.mel), names.mel.sample_rate
    assert about is not None
    assert about.mel is not None
    assert label is not None
    if voice == "model" and model.voice is not None:
        return model.voice(Outputs(scores[None], label[None]))[0], about.mel.sample_rate
    frames = about.frames[decision] if about.frames else None
    picture = label if voice == "model" or model.bank is None else model.bank[decision]
    return waveform(picture, frames, about.mel), about.mel.sample_rate
