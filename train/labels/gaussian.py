"""`gaussian-composition`: a sum of ten oriented Gaussians per class (Chen et al. 2021, section 3)."""

from __future__ import annotations

from random import Random

import numpy as np

from ...artifacts.bank import LabelBank
from .constant import LARGEST
from .kinds import Request

GAUSSIANS = 10
WIDTH = 0.075
"""Standard deviation across a Gaussian, in widths of the picture."""
ASPECT = 0.31
"""Across over along."""
OVERSAMPLING = 4
"""The sum is scaled to 0..1 on a grid this much finer than the label, then every fourth pixel is kept."""


def build(request: Request) -> LabelBank:
    """Draw ten Gaussians per class: centres anywhere in the picture, any orientation; range 0..80.

    Gaussian g reads its centre's x, its centre's y and its orientation from three streams seeded g + 1,
    g + 2 and g + 3, of which the first two step twice per class: so the authors' released arrays were made.
    """
    seed = request.seed or 0
    streams = [tuple(Random(seed + g + offset) for offset in (1, 2, 3)) for g in range(GAUSSIANS)]
    labels = [_composition(streams, request.size) for _ in request.classes]
    recipe = {"seed": seed, "gaussians": GAUSSIANS, "width": WIDTH, "aspect": ASPECT}
    return LabelBank("gaussian-composition", np.stack(labels), request.classes, recipe=recipe)


def _composition(streams: list[tuple[Random, ...]], size: int) -> np.ndarray:
    """The next class's label: float32 [size, size] in 0..80."""
    fine = OVERSAMPLING * size
    along_x = (np.arange(fine) + 0.5) / fine - 0.5
    total = np.zeros((fine, fine))
    for horizontal, vertical, angular in streams:
        x, _ = horizontal.random() - 0.5, horizontal.random()
        _, y = vertical.random(), vertical.random() - 0.5
        total += _gaussian(along_x - x, -along_x - y, np.pi * angular.random())
    scaled = (total - total.min()) / (total.max() - total.min())
    return (LARGEST * scaled[OVERSAMPLING // 2 :: OVERSAMPLING, OVERSAMPLING // 2 :: OVERSAMPLING]).astype(
        np.float32
    )


def _gaussian(x: np.ndarray, y: np.ndarray, angle: float) -> np.ndarray:
    """A Gaussian whose long axis is turned by `angle` from the horizontal: [len(y), len(x)], peak 1."""
    along = np.add.outer(np.sin(angle) * y, np.cos(angle) * x)
    across = np.subtract.outer(np.cos(angle) * y, np.sin(angle) * x)
    return np.exp(-0.5 * ((along * ASPECT) ** 2 + across**2) / WIDTH**2)
