"""Blurs, as Hendrycks and Dietterich 2019 define them. Images are float64 [C, H, W] in 0..1."""

from __future__ import annotations

import numpy as np

from .draws import Draws
from .filters import along, correlate, eight_bit, gaussian, smear, zoomed


def gaussian_blur(image: np.ndarray, deviation: float, draws: Draws) -> np.ndarray:
    """Gaussian blur, borders repeated."""
    return gaussian(image, (deviation, deviation))


def defocus(image: np.ndarray, radius: float, soft: float, draws: Draws) -> np.ndarray:
    """Blur by a disc with soft edges: a lens that is out of focus."""
    return correlate(image, _disc(radius, soft))


def _disc(radius: float, soft: float) -> np.ndarray:
    reach, taps = (8, 1) if radius <= 8 else (int(radius), 2)
    line = np.arange(-reach, reach + 1)
    disc = ((line[:, None] ** 2 + line**2) <= radius**2).astype(float)
    kernel = np.exp(-0.5 * (np.arange(-taps, taps + 1) / soft) ** 2)
    kernel /= kernel.sum()
    disc = along(along(disc / disc.sum(), kernel, 0, "reflect"), kernel, 1, "reflect")
    empty = reach - int(np.flatnonzero(disc.any(0))[-1] - reach)
    return disc[empty : len(disc) - empty, empty : len(disc) - empty]


def glass_blur(image: np.ndarray, deviation: float, reach: int, rounds: int, draws: Draws) -> np.ndarray:
    """Blur, let pixels take the place of neighbours, and blur again: frosted glass.

    The published code means to swap two pixels, but the second assignment reads what the first has written,
    so a pixel takes its neighbour's value and the neighbour keeps its own. This does the same.
    """
    pixels = eight_bit(gaussian(image, (deviation, deviation)))
    height, width = pixels.shape[1:]
    for _ in range(rounds):
        if min(height, width) > 2 * reach:
            pixels = _scattered(pixels, reach, draws)
    return gaussian(pixels / 255, (deviation, deviation))


def _scattered(pixels: np.ndarray, reach: int, draws: Draws) -> np.ndarray:
    """One round over all pixels from the last to the first; later pixels have taken their values already."""
    height, width = pixels.shape[1:]
    rows = np.arange(reach + 1, height - reach + 1)
    columns = np.arange(reach + 1, width - reach + 1)
    right, down = draws.integers(-reach, reach, (2, len(rows), len(columns)))
    here = rows[:, None] * width + columns
    there = (rows[:, None] + down) * width + columns + right
    count = height * width
    # Of every pixel, the place that its value comes from; beyond `count`, one whose value does not change.
    source = np.arange(count, 2 * count)
    source[here] = np.where((there > here), there, there + count)
    source = np.concatenate([source, np.arange(count, 2 * count)])
    while (source[:count] < count).any():
        source = source[source]
    return pixels.reshape(len(pixels), -1)[:, source[:count] - count].reshape(pixels.shape)


def motion_blur(image: np.ndarray, radius: int, deviation: float, draws: Draws) -> np.ndarray:
    """Blur along a random direction within 45 degrees of the horizontal."""
    return smear(image, radius, deviation, float(draws.uniform(-45, 45)))


def zoom_blur(image: np.ndarray, end: float, step: float, draws: Draws) -> np.ndarray:
    """Mean of the image and its enlargements from 1 to below `end`: a camera that moves fast."""
    factors = np.arange(1, end, step)
    height, width = image.shape[1:]
    total = image + sum(zoomed(image, factor)[:, :height, :width] for factor in factors)
    return total / (len(factors) + 1)
