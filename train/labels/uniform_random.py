"""`uniform-random`: a matrix of independent uniform entries per class (Chen et al. 2021, section 3)."""

from __future__ import annotations

import numpy as np

from ...artifacts.bank import LabelBank
from .constant import LARGEST
from .kinds import Request

SEED = 48
"""Of the authors' released arrays."""


def build(request: Request) -> LabelBank:
    """Draw square labels of entries in 0..80."""
    return drawn("uniform-random", request, (request.size, request.size))


def drawn(kind: str, request: Request, shape: tuple[int, ...]) -> LabelBank:
    """Draw the labels of all classes in one go, numpy's legacy generator; entries in 0..80."""
    seed = SEED if request.seed is None else request.seed
    stream = np.random.RandomState(seed)
    labels = stream.uniform(0, LARGEST, (len(request.classes), *shape)).astype(np.float32)
    return LabelBank(kind, labels, request.classes, recipe={"seed": seed, "largest": LARGEST})
