"""The adversarial examples that an audit shows and plays, with their clean images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...artifacts import ExportedModel, decide
from ...sound.speaking import sound_of, speaks
from ..examples import shown
from ..run import Audit


@dataclass(frozen=True)
class Answered:
    """The model's answer to one image."""

    image: np.ndarray
    """float32 [C, H, W] in 0..1."""
    name: str
    """Name of the decided class."""
    note: str
    """How close the prediction was, in words."""
    label: np.ndarray | None
    """Predicted label [*label shape]; None for logits."""
    sound: np.ndarray | None
    """Mono float32 at `rate`; None for models that do not speak."""
    rate: int


@dataclass(frozen=True)
class AnsweredExample:
    """One image, clean and attacked."""

    name: str
    truth: str
    attack: str
    epsilon: float
    clean: Answered
    adversarial: Answered


def answered(audit: Audit) -> Iterator[AnsweredExample]:
    """The examples of an audit, with the model's answers."""
    classes, examples = audit.report.model.manifest.classes, audit.evaluation.examples
    if not audit.report.protocol.natural:
        examples = shown(examples, audit.evaluation.labels)
    for example in examples:
        outcome = audit.report.images[example.place]
        yield AnsweredExample(
            name=outcome.file or f"image {outcome.index}",
            truth=classes[outcome.label],
            attack=example.attack,
            epsilon=example.epsilon,
            clean=_answer(audit.model, example.clean),
            adversarial=_answer(audit.model, example.adversarial),
        )


def _answer(model: ExportedModel, image: np.ndarray) -> Answered:
    outputs, manifest = model.answer(image[None]), model.manifest
    decision = int(decide(outputs.scores)[0])
    note, label, sound, rate = f"score {outputs.scores[0, decision]:.2f}", None, None, 0
    threshold = manifest.decoding.threshold
    if outputs.loss is not None and threshold is not None and manifest.label:
        note = manifest.label.measure.compared(float(outputs.loss[0, decision]), threshold)
    if outputs.label is not None:
        label = outputs.label[0]
    if speaks(model):
        sound, rate = sound_of(model, decision, outputs.scores[0], label)
    return Answered(image, manifest.classes[decision], note, label, sound, rate)
