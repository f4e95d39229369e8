"""From a model's outputs to classes: nearest neighbour, threshold, arg-max."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

THRESHOLD = 3.5
"""Mean smooth L1 under which Chen et al. 2021 (section 4.1) count a prediction as the label heard."""


@dataclass(frozen=True)
class Outputs:
    """What a model answered for a batch of N images."""

    scores: np.ndarray
    """float32 [N, K], larger is better."""
    label: np.ndarray | None = None
    """float32 [N, *label shape], the predicted label; label models only."""
    loss: np.ndarray | None = None
    """float32 [N, K], mean smooth L1 to each bank row; label models only."""


def decide(scores: np.ndarray) -> np.ndarray:
    """The class of each image, int64 [N]: largest score.

    For a label model `scores` fall with the squared distance, so this is nearest-neighbour decoding.
    A row with a score that is not a number gets -1: no class.
    """
    return np.where(np.isnan(scores).any(1), -1, scores.argmax(1))


def within_threshold(loss: np.ndarray, classes: np.ndarray, threshold: float) -> np.ndarray:
    """Whether each prediction is near enough to the label of its given class, bool [N].

    A verification of one class, not a choice among them: two labels can both be within reach.
    """
    return loss[np.arange(len(classes)), classes] < threshold
