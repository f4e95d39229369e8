"""Running a protocol on a model: which images survive which attack."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..artifacts import decide, within_threshold
from ..artifacts.manifest import Manifest
from ..images import Fit, ImageSet
from ..images.imageset import to_float
from .attacks.base import Ball, Goal
from .attacks.streams import Streams
from .protocol import ATTACKS, Protocol, target_classes
from .target import Target

Progress = Callable[[int, str], None]
"""Called with the number of images just finished in one row, and the attack's name."""


@dataclass
class Outcome:
    """One attack at one epsilon on n images."""

    attack: str
    targeted: bool
    epsilon: float
    radius: np.ndarray
    """Half-width of the box in pixel units, float32 [C, 1, 1]."""
    right: np.ndarray
    """bool [n]: the decision is still the true class. False where it was wrong to begin with."""
    near: np.ndarray
    """bool [n]: the prediction is still within the threshold of the true label."""
    reached: np.ndarray
    """bool [n]: the decision is the target class."""
    moved: np.ndarray
    """float32 [n]: largest change of a pixel, in 0..1; 0 where the image was not attacked."""
    queries: int = 0
    gradients: int = 0
    seconds: float = 0.0


@dataclass
class Evaluation:
    """What a protocol found on one model and one data set."""

    indices: np.ndarray
    """int64 [n]: the audited images' places in the data set."""
    labels: np.ndarray
    """int64 [n]: their true classes."""
    decisions: np.ndarray
    """int64 [n]: the classes decided on the clean images."""
    near: np.ndarray
    """bool [n]: clean prediction within the threshold of the true label."""
    outcomes: list[Outcome] = field(default_factory=list)
    digest: str = ""
    """SHA-256 of the audited images' pixels and labels."""

    @property
    def right(self) -> np.ndarray:
        """Bool [n]: decided correctly on the clean image."""
        return self.decisions == self.labels


def evaluate(
    target: Target,
    images: ImageSet,
    indices: np.ndarray,
    protocol: Protocol,
    *,
    seed: int = 0,
    batch_size: int = 64,
    progress: Progress = lambda images, attack: None,
) -> Evaluation:
    """Attack the images at `indices` with every attack of `protocol`.

    An image counts as right under an attack only if it was right to begin with and the file itself,
    asked again with the confined adversarial image, still decides for the true class.

    Args:
        target: the model under attack.
        images: data set whose labels index the model's classes.
        indices: which images.
        protocol: attacks and epsilons.
        seed: decides the target classes and the attacks' randomness.
        batch_size: images at a time.
        progress: told of each finished batch.
    """
    manifest = target.model.manifest
    n = len(indices)
    goals = target_classes(images.labels, len(manifest.classes), seed)[indices]
    evaluation = Evaluation(indices, images.labels[indices], np.full(n, -1), np.zeros(n, bool))
    evaluation.outcomes = _blank_outcomes(protocol, manifest, n)
    digest = hashlib.sha256()
    fit = Fit.of(manifest.input)
    for first in range(0, n, batch_size):
        part = np.arange(first, min(first + batch_size, n))
        pixels = images.pixels(indices[part], fit)
        for image, label in zip(pixels, evaluation.labels[part], strict=True):
            digest.update(image.tobytes() + int(label).to_bytes(8, "little"))
        _attack_batch(target, evaluation, part, to_float(pixels), goals[part], seed, progress)
    evaluation.digest = digest.hexdigest()
    return evaluation


def _blank_outcomes(protocol: Protocol, manifest: Manifest, n: int) -> list[Outcome]:
    return [
        Outcome(
            attack,
            targeted,
            epsilon,
            radius=protocol.radius(epsilon, manifest.input),
            right=np.zeros(n, bool),
            near=np.zeros(n, bool),
            reached=np.zeros(n, bool),
            moved=np.zeros(n, np.float32),
        )
        for attack in protocol.attacks
        for targeted in protocol.targeted
        for epsilon in protocol.epsilons
    ]


def _attack_batch(
    target: Target,
    evaluation: Evaluation,
    part: np.ndarray,
    clean: np.ndarray,
    goals: np.ndarray,
    seed: int,
    progress: Progress,
) -> None:
    """Put one batch through all attacks and enter what happened."""
    labels = evaluation.labels[part]
    evaluation.decisions[part], evaluation.near[part] = _judge(target, clean, labels)
    attacked = np.flatnonzero((evaluation.decisions[part] == labels) | evaluation.near[part])
    sweeps: dict[tuple[str, bool], list[Outcome]] = {}
    for outcome in evaluation.outcomes:
        sweeps.setdefault((outcome.attack, outcome.targeted), []).append(outcome)
    for (name, targeted), outcomes in sweeps.items():
        goal = Goal(labels[attacked], goals[attacked] if targeted else None)
        streams = Streams.of(seed, name, evaluation.indices[part[attacked]])
        if len(attacked):
            _sweep(
                target, evaluation, outcomes, part[attacked], clean[attacked], goal, goals[attacked], streams
            )
        for _ in outcomes:
            progress(len(part), name)


def _sweep(
    target: Target,
    evaluation: Evaluation,
    outcomes: list[Outcome],
    places: np.ndarray,
    clean: np.ndarray,
    goal: Goal,
    goals: np.ndarray,
    streams: Streams,
) -> None:
    """One attack over its epsilons on the images worth attacking; each result is asked of the file anew."""
    attack = ATTACKS[outcomes[0].attack]()
    labels = evaluation.labels[places]
    moving = [outcome for outcome in outcomes if outcome.epsilon > 0]
    for still in (outcome for outcome in outcomes if outcome.epsilon == 0):
        still.right[places], still.near[places] = evaluation.right[places], evaluation.near[places]
        still.reached[places] = evaluation.decisions[places] == goals
    balls = [Ball("linf", outcome.radius) for outcome in moving]
    results = attack.sweep(target, clean, goal, balls, streams)
    for outcome, ball in zip(moving, balls, strict=True):
        started, queries, gradients = time.perf_counter(), target.queries, target.gradients
        adversarial = ball.confine(next(results), clean)
        decisions, near = _judge(target, adversarial, labels)
        outcome.right[places] = (decisions == labels) & evaluation.right[places]
        outcome.near[places] = near & evaluation.near[places]
        outcome.reached[places] = decisions == goals
        outcome.moved[places] = ball.size(adversarial, clean)
        outcome.queries += target.queries - queries
        outcome.gradients += target.gradients - gradients
        outcome.seconds += time.perf_counter() - started


def _judge(target: Target, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The file's decisions, and whether its predictions are within the threshold of the true labels."""
    outputs = target.answer(images)
    threshold = target.model.manifest.decoding.threshold
    if outputs.loss is None or threshold is None:
        return decide(outputs.scores), np.zeros(len(images), bool)
    return decide(outputs.scores), within_threshold(outputs.loss, labels, threshold)
