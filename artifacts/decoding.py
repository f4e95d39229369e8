"""From a model's outputs to classes: nearest neighbour, threshold, arg-max."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import VivavoceError
from .manifest import Manifest

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

    @classmethod
    def joined(cls, parts: Sequence[Outputs]) -> Outputs:
        """The answers to several batches, at least one, as those to one."""
        if len(parts) == 1:
            return parts[0]
        labels = [part.label for part in parts if part.label is not None]
        losses = [part.loss for part in parts if part.loss is not None]
        return cls(
            np.concatenate([part.scores for part in parts]),
            np.concatenate(labels) if labels else None,
            np.concatenate(losses) if losses else None,
        )

    def check(self, count: int, manifest: Manifest, path: Path) -> Outputs:
        """Check that the answers to `count` images have the shapes that the file declares; returns them.

        A graph may compute other shapes than those it declares: nothing checks them until it runs.

        Raises:
            VivavoceError: an answer has a different shape; the message names the file.
        """
        classes = (len(manifest.classes),)
        shapes = {"scores": classes, "label": manifest.label and manifest.label.shape, "loss": classes}
        for name, shape in shapes.items():
            answer: np.ndarray | None = getattr(self, name)
            if answer is not None and shape is not None and answer.shape != (count, *shape):
                raise VivavoceError(
                    f"{path}: the file declares {name} of shape {[count, *shape]} for a batch of {count}, "
                    f"but computes {list(answer.shape)}"
                )
        return self


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
