"""Drops on the lens: water or mud, after Hendrycks and Dietterich 2019.

Images are float64 [C, H, W] in 0..1.
"""

from __future__ import annotations

import numpy as np

from .draws import Draws
from .filters import along, gaussian

WATER = np.array([175, 238, 238]) / 255
MUD = np.array([63, 42, 20]) / 255
FAR = 20
"""Distances from the rim of a drop are cut off here, in pixels."""
RIPPLE = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])
WEAK, STRONG = 50, 150
"""Canny's thresholds."""


def spatter(
    image: np.ndarray,
    mean: float,
    spread: float,
    size: float,
    least: float,
    amount: float,
    mud: bool,
    draws: Draws,
) -> np.ndarray:
    """Drops of random shape."""
    height, width = image.shape[1:]
    liquid = gaussian(draws.normal(mean, spread, (height, width)), (size, size))
    liquid = np.where(liquid < least, 0, liquid)
    if mud:
        cover = gaussian((liquid > least).astype(float), (amount, amount))
        cover = np.where(cover < 0.8, 0, cover)
        return image * (1 - cover) + _tinted(MUD, len(image)) * cover
    drops = np.floor(np.clip(liquid, 0, 1) * 255)
    shine = drops * _relief(drops)
    shine *= amount / max(shine.max(), 1e-12)
    return image + _tinted(WATER, len(image)) * shine


def _tinted(colour: np.ndarray, channels: int) -> np.ndarray:
    """A colour for an image of so many channels; grey ones get its luminance."""
    tint = colour if channels == 3 else np.array([colour @ [0.2989, 0.587, 0.114]])
    return tint[:, None, None]


def _relief(drops: np.ndarray) -> np.ndarray:
    """How bright the water is [H, W] in 0..255: by the distance from the rims, embossed."""
    distance = np.floor(_box(np.minimum(_distance(_rims(drops)), FAR)) + 1e-4)
    even = _equalised(distance.astype(np.uint8)).astype(float)
    padded = np.pad(even, 1, mode="reflect")
    height, width = even.shape
    embossed = sum(RIPPLE[y, x] * padded[y : y + height, x : x + width] for y in range(3) for x in range(3))
    return np.rint(_box(np.clip(embossed, 0, 255)))


def _box(image: np.ndarray) -> np.ndarray:
    third = np.full(3, 1 / 3)
    return along(along(image, third, 0, "reflect"), third, 1, "reflect")


def _equalised(image: np.ndarray) -> np.ndarray:
    """Histogram equalisation of uint8, as OpenCV's: the darkest value becomes 0."""
    counts = np.bincount(image.ravel(), minlength=256)
    first = int(np.flatnonzero(counts)[0])
    if counts[first] == image.size:
        return image
    scale = 255 / (image.size - counts[first])
    table = np.rint((np.cumsum(counts) - counts[first]) * scale)
    return np.clip(table, 0, 255).astype(np.uint8)[image]


def _rims(drops: np.ndarray) -> np.ndarray:
    """Edges by Canny 1986, bool [H, W], with OpenCV's choices: Sobel, the sum of both slopes."""
    across = _slope(drops, axis=1)
    down = _slope(drops, axis=0)
    strength = np.abs(across) + np.abs(down)
    padded = np.pad(strength, 1)
    height, width = strength.shape

    def beside(dy: int, dx: int) -> np.ndarray:
        return padded[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]

    flat = np.abs(down) < np.tan(np.pi / 8) * np.abs(across)
    steep = np.abs(down) > np.tan(3 * np.pi / 8) * np.abs(across)
    falling = (across < 0) != (down < 0)
    one = np.where(falling, beside(-1, 1), beside(-1, -1))
    other = np.where(falling, beside(1, -1), beside(1, 1))
    ridge = (strength > one) & (strength > other)
    ridge = np.where(steep, (strength > beside(-1, 0)) & (strength >= beside(1, 0)), ridge)
    ridge = np.where(flat, (strength > beside(0, -1)) & (strength >= beside(0, 1)), ridge)
    candidates = ridge & (strength > WEAK)
    edges = candidates & (strength > STRONG)
    while True:  # weak edges that touch others belong to them
        around = np.pad(edges, 1)
        near = np.any([around[y : y + height, x : x + width] for y in range(3) for x in range(3)], axis=0)
        grown = candidates & near
        if (grown == edges).all():
            return edges
        edges = grown


def _slope(image: np.ndarray, axis: int) -> np.ndarray:
    difference = along(image, np.array([-1.0, 0, 1]), axis, "edge")
    return along(difference, np.array([1.0, 2, 1]), 1 - axis, "edge")


def _distance(rims: np.ndarray) -> np.ndarray:
    """Distance of every pixel [H, W] from the nearest rim, in Borgefors's steps of 1, 1.4 and 2.1969.

    Two passes, as in OpenCV: each pixel looks at those above and to the left, then below and to the right.
    """
    distance = np.pad(np.where(rims, 0.0, 1e6), 2, constant_values=1e6)
    for _ in range(2):
        _pass(distance)
        distance = distance[::-1, ::-1]
    return distance[2:-2, 2:-2]


def _pass(distance: np.ndarray) -> None:
    width = distance.shape[1] - 4
    run = np.arange(width)
    for y in range(2, len(distance) - 2):
        row = distance[y, 2:-2]
        for dy, dx, step in STEPS:
            row = np.minimum(row, distance[y - dy, 2 + dx : 2 + dx + width] + step)
        distance[y, 2:-2] = np.minimum.accumulate(row - run) + run


STEPS = (
    (1, 0, 1.0), (1, -1, 1.4), (1, 1, 1.4),
    (1, -2, 2.1969), (1, 2, 2.1969), (2, -1, 2.1969), (2, 1, 2.1969),
)  # fmt: skip
"""Rows up, columns to the right, and length."""
