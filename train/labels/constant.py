"""`constant`: a matrix of one value per class (Chen et al. 2021, section 3; "uniform" in their code)."""

from __future__ import annotations

import numpy as np

from ...artifacts.bank import LabelBank
from .kinds import Request

LARGEST = 80.0
"""Value of the last class; the first is 0. The range of a speech label."""


def build(request: Request) -> LabelBank:
    """Class k of K is the matrix whose every entry is 80 k / (K - 1)."""
    count = len(request.classes)
    values = np.arange(count) * LARGEST / (count - 1)
    shape = (count, request.size, request.size)
    labels = np.broadcast_to(values[:, None, None], shape).astype(np.float32)
    return LabelBank("constant", labels, request.classes, recipe={"largest": LARGEST})
