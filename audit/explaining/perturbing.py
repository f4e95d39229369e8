"""Explanations from the model's answers alone: occlusion and RISE. Both return float32 [N, 1, H, W]."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from PIL import Image

from .subject import Subject

PATCHES = 8
"""The side of the occluding patch is that of the image over this; it moves by half of its side."""
MASKS = 1000
"""Random masks of RISE."""
GRID = 7
"""Cells on a side of a mask of RISE, as in its paper; each is open with probability 1/2."""
SHOWN = 64
"""Changed images in memory at a time."""


def occlusion(subject: Subject, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """How much the value falls when a patch is covered, by the mean over the patches on a pixel.

    The patch has the image's mean colour (Zeiler & Fergus 2014 cover with grey).
    """
    height, width = images.shape[2:]
    patch = [max(1, math.ceil(side / PATCHES)) for side in (height, width)]
    corners = [(top, left) for top in _starts(height, patch[0]) for left in _starts(width, patch[1])]
    covered = np.zeros((len(corners), height, width), bool)
    for one, (top, left) in zip(covered, corners, strict=True):
        one[top : top + patch[0], left : left + patch[1]] = True
    result = np.zeros((len(images), 1, height, width), np.float32)
    whole = subject.values(images, classes)
    for k, image in enumerate(images):
        colour = image.mean((1, 2), keepdims=True)
        falls = [
            whole[k] - subject.values(np.where(part[:, None], colour, image), np.full(len(part), classes[k]))
            for part in _slices(covered)
        ]
        result[k, 0] = np.tensordot(np.concatenate(falls), covered, 1) / covered.sum(0)
    return result


def _starts(side: int, patch: int) -> list[int]:
    """Where patches begin so that they cover a side, the last one flush with its end."""
    return sorted({*range(0, side - patch + 1, max(1, patch // 2)), side - patch})


def rise(
    subject: Subject, images: np.ndarray, classes: np.ndarray, masks: int = MASKS, seed: int = 0
) -> np.ndarray:
    """Covariance of the value with each pixel's visibility under random masks (Petsiuk et al. 2018).

    The paper averages the masks, weighted by the value. That adds the value's mean to every pixel, up to
    how often it happened to be visible; here it is subtracted, so that scores of any sign can be used.
    """
    height, width = images.shape[2:]
    visible = np.stack(list(_masks(masks, height, width, seed)))
    result = np.zeros((len(images), 1, height, width), np.float32)
    for k, image in enumerate(images):
        values = np.concatenate(
            [
                subject.values(part[:, None] * image, np.full(len(part), classes[k]))
                for part in _slices(visible)
            ]
        )
        result[k, 0] = np.tensordot(values - values.mean(), visible, 1) / masks
    return result


def _masks(count: int, height: int, width: int, seed: int) -> Iterator[np.ndarray]:
    """Smooth random masks [H, W] in 0..1: a coarse grid, enlarged by one cell and cut at random."""
    rng = np.random.default_rng(seed)
    cell = math.ceil(height / GRID), math.ceil(width / GRID)
    large = (GRID + 1) * cell[1], (GRID + 1) * cell[0]
    for _ in range(count):
        grid = (rng.random((GRID, GRID)) < 0.5).astype(np.float32)
        top, left = rng.integers(0, cell[0]), rng.integers(0, cell[1])
        mask = np.asarray(Image.fromarray(grid).resize(large, Image.Resampling.BILINEAR))
        yield mask[top : top + height, left : left + width]


def _slices(array: np.ndarray) -> Iterator[np.ndarray]:
    return (array[k : k + SHOWN] for k in range(0, len(array), SHOWN))
