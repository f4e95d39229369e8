"""The file's own answers to a batch: the only source of every figure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..artifacts import decide, within_threshold
from .target import Target


@dataclass(frozen=True)
class Judgement:
    """The file's answers to N images, compared with their true classes. All but the first are bool [N]."""

    decisions: np.ndarray
    """int64 [N]."""
    near: np.ndarray
    """The prediction is within the threshold of the true label."""
    rejected: np.ndarray
    """It is within the threshold of no label."""
    misled: np.ndarray
    """The decision is wrong, and the prediction within the threshold of that wrong label."""


def judge(target: Target, images: np.ndarray, labels: np.ndarray) -> Judgement:
    """Evaluate the file on images [N, C, H, W] whose true classes are `labels` [N].

    Models without a threshold are near, reject and mislead never.
    """
    outputs = target.answer(images)
    decisions = decide(outputs.scores)
    threshold = target.model.manifest.decoding.threshold
    if outputs.loss is None or threshold is None:
        no = np.zeros(len(images), bool)
        return Judgement(decisions, no, no, no)
    near = within_threshold(outputs.loss, labels, threshold)
    rejected = np.logical_not((outputs.loss < threshold).any(axis=1))
    misled = (decisions != labels) & within_threshold(outputs.loss, decisions, threshold)
    return Judgement(decisions, near, rejected, misled)
