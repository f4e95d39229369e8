"""Snow, frost, fog and brightness, after Hendrycks and Dietterich 2019.

Images are float64 [C, H, W] in 0..1.
"""

from __future__ import annotations

import numpy as np

from .draws import Draws
from .filters import gaussian, grey_of, smear, zoomed


def snow(
    image: np.ndarray,
    mean: float,
    spread: float,
    size: float,
    least: float,
    radius: int,
    deviation: float,
    kept: float,
    draws: Draws,
) -> np.ndarray:
    """Flakes that fall obliquely, in front of a whitened image."""
    height, width = image.shape[1:]
    layer = zoomed(draws.normal(mean, spread, (height, width)), size)
    layer = np.clip(np.where(layer < least, 0, layer), 0, 1)
    layer = smear(layer, radius, deviation, float(draws.uniform(-135, -45)))
    layer = (np.rint(layer * 255) / 255)[:height, :width]
    whitened = np.maximum(image, grey_of(image) * 1.5 + 0.5)
    return kept * image + (1 - kept) * whitened + layer + layer[::-1, ::-1]


def fog(image: np.ndarray, amount: float, decay: float, draws: Draws) -> np.ndarray:
    """A cloud from the diamond-square algorithm."""
    height, width = image.shape[1:]
    most = image.max()
    cloud = plasma(1 << (max(height, width, 2) - 1).bit_length(), decay, draws)[:height, :width]
    return (image + amount * cloud) * most / (most + amount)


def plasma(side: int, decay: float, draws: Draws) -> np.ndarray:
    """Fractal heights [side, side] in 0..1; `side` is a power of 2."""
    heights = np.zeros((side, side))
    step, wobble = side, 100.0

    def middle(total: np.ndarray) -> np.ndarray:
        return total / 4 + wobble * draws.uniform(-wobble, wobble, total.shape)

    while step >= 2:
        half = step // 2
        corners = heights[::step, ::step]
        total = corners + np.roll(corners, -1, 0)
        heights[half::step, half::step] = middle(total + np.roll(total, -1, 1))
        centres = heights[half::step, half::step]
        above = centres + np.roll(centres, 1, 0) + corners + np.roll(corners, -1, 1)
        heights[::step, half::step] = middle(above)
        beside = centres + np.roll(centres, 1, 1) + corners + np.roll(corners, -1, 0)
        heights[half::step, ::step] = middle(beside)
        step, wobble = half, wobble / decay
    heights -= heights.min()
    return heights / max(heights.max(), 1e-30)


ICE = np.array([0.524, 0.608, 0.653])
"""Mean colour of the ice, and below how light it is, and how much clouds and needles vary: those of the
photographs of ice in the published code."""
DARKEST, LIGHTEST = 0.4, 0.8
CLOUDS, NEEDLES = 0.083, 0.075
DIRECTIONS = 5
"""Of the needles in one image."""


def frost(image: np.ndarray, kept: float, amount: float, draws: Draws) -> np.ndarray:
    """Ice in front of the image. Not the published photographs of ice: it is drawn, of needles and clouds."""
    height, width = image.shape[1:]
    level = float(draws.uniform(DARKEST, LIGHTEST))
    clouds = plasma(1 << (max(height, width, 2) - 1).bit_length(), 1.8, draws)[:height, :width]
    depth = level + CLOUDS * _standard(clouds) + NEEDLES * _standard(_needles(height, width, draws))
    colour = ICE / ICE.mean() if len(image) == 3 else np.ones(1)
    return kept * image + amount * np.clip(depth * colour[:, None, None], 0, 1)


def _needles(height: int, width: int, draws: Draws) -> np.ndarray:
    """Straight, tapered needles [height, width] in a few directions, long in large images."""
    side = max(height, width)
    radius = max(2, round(side / 16))
    needles = np.zeros((height, width))
    for _ in range(DIRECTIONS):
        seeds = (draws.uniform(shape=(height, width)) > 0.985).astype(float)
        needles = np.maximum(needles, smear(seeds, radius, radius / 2, float(draws.uniform(0, 360))))
    soft = 0.5 * max(side / 224, 0.5)
    return gaussian(needles, (soft, soft))


def _standard(values: np.ndarray) -> np.ndarray:
    """Values with mean 0 and standard deviation 1."""
    return (values - values.mean()) / max(float(values.std()), 1e-6)


def brightness(image: np.ndarray, amount: float, draws: Draws) -> np.ndarray:
    """Add to the value of hue, saturation and value: all channels by the factor that their largest needs."""
    value = image.max(0)
    lighter = np.minimum(value + amount, 1)
    return np.where(value > 0, image * (lighter / np.maximum(value, 1e-12)), lighter)
