"""`shuffled-speech`: speech with its time columns in a random order (Chen et al. 2021, section 3)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...artifacts.bank import LabelBank
from . import speech
from .kinds import Request

SEED = 8
"""Of the authors' released arrays."""


def build(request: Request) -> LabelBank:
    """Make speech labels, then cut each into its columns and shuffle them, another order per class."""
    bank = speech.build(request)
    seed = SEED if request.seed is None else request.seed
    return replace(
        bank,
        kind="shuffled-speech",
        labels=shuffle_columns(bank.labels, seed),
        recipe={**bank.recipe, "shuffle_seed": seed},
    )


def shuffle_columns(labels: np.ndarray, seed: int) -> np.ndarray:
    """Shuffle the columns of each label [K, bands, columns]; never into their own order.

    One stream for all classes, numpy's legacy generator: with seed 8, the authors' released arrays.
    """
    stream = np.random.RandomState(seed)
    own = np.arange(labels.shape[2])
    shuffled = np.empty_like(labels)
    for k, label in enumerate(labels):
        order = own.copy()
        while (order == own).all():
            stream.shuffle(order)
        shuffled[k] = label[:, order]
    return shuffled
