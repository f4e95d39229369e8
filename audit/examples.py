"""Which adversarial images are kept as examples: few, and of different classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

EXAMPLES = 8
"""Examples that a report shows. Fewer than twice as many are kept."""


@dataclass(frozen=True)
class Example:
    """An image and its adversarial version."""

    place: int
    """Among the audited images."""
    attack: str
    epsilon: float
    clean: np.ndarray
    adversarial: np.ndarray
    """float32 [C, H, W] in 0..1."""


def admits(examples: Sequence[Example], place: int, labels: np.ndarray) -> bool:
    """Whether an image is kept: it is one of the first, or the first of its class.

    The examples of consecutive parts of a sample hold those of the whole.
    """
    if any(example.place == place for example in examples):
        return False
    classes = {int(labels[example.place]) for example in examples}
    return len(examples) < EXAMPLES or (len(classes) < EXAMPLES and int(labels[place]) not in classes)


def joined(parts: Iterable[Example], labels: np.ndarray) -> list[Example]:
    """The examples of the whole sample, from those of its parts in their order."""
    kept: list[Example] = []
    for example in parts:
        if admits(kept, example.place, labels):
            kept.append(example)
    return kept


def shown(examples: Sequence[Example], labels: np.ndarray) -> list[Example]:
    """The ones that a report shows: the first of each class, then others."""
    classes = [int(labels[example.place]) for example in examples]
    order = sorted(range(len(examples)), key=lambda k: (classes[:k].count(classes[k]), k))
    return [examples[k] for k in order[:EXAMPLES]]
