"""The voice of a page without a server: a vocoder in the model, or the sounds of the class names."""

from __future__ import annotations

import base64

import numpy as np

from ..artifacts import ExportedModel, open_model, shipped_models
from ..artifacts.onnx_file import read_onnx
from ..sound.playback import wav, waveform
from ..sound.speaking import says_names, sound_of
from ..sound.vocoder import add_vocoder

MOST_SOUNDS = 256
"""Class names whose sounds are put into a page; each takes some 40 KB."""


def speaking_file(model: ExportedModel) -> bytes:
    """The model's file, with a vocoder if it predicts spectrograms and has none."""
    label = model.manifest.label
    if model.voice is not None or label is None or label.mel is None:
        return model.path.read_bytes()
    graph = read_onnx(model.path)
    add_vocoder(graph, label)
    return graph.SerializeToString()


def sounds_of_names(model: ExportedModel) -> tuple[list[str], list[str]] | None:
    """The words for the classes of a model that predicts no sound, and their sounds as WAV files in base64.

    They are the file's own or, for classes that a shipped model has too, those of that model's labels.

    Returns:
        None for a model that predicts spectrograms, for classes of other names, and for too many.
    """
    label, classes = model.manifest.label, model.manifest.classes
    if (label and label.mel) or len(classes) > MOST_SOUNDS:
        return None
    if says_names(model):
        none = np.zeros(len(classes), np.float32)
        found = [sound_of(model, k, none, None) for k in range(len(classes))]
        return list(model.manifest.spoken or classes), [_encoded(*each) for each in found]
    for name in shipped_models():
        other = open_model(name)
        spoken = other.manifest.label
        if spoken and spoken.mel and other.bank is not None and other.manifest.classes == classes:
            frames = spoken.frames or (None,) * len(classes)
            rate = spoken.mel.sample_rate
            pairs = zip(other.bank, frames, strict=True)
            sounds = [_encoded(waveform(row, count, spoken.mel), rate) for row, count in pairs]
            return list(other.manifest.spoken), sounds
    return None


def _encoded(samples: np.ndarray, rate: int) -> str:
    return base64.b64encode(wav(samples, rate)).decode()
