"""Contrast, saturation, pixels and files, after Hendrycks and Dietterich 2019.

Images are float64 [C, H, W] in 0..1.
"""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image

from .draws import Draws
from .filters import gaussian, moved, sampled


def contrast(image: np.ndarray, share: float, draws: Draws) -> np.ndarray:
    """Draw all pixels towards their channel's mean."""
    mean = image.mean((1, 2), keepdims=True)
    return (image - mean) * share + mean


def saturate(image: np.ndarray, factor: float, more: float, draws: Draws) -> np.ndarray:
    """Scale the saturation of hue, saturation and value, and add to it. Grey images stay as they are.

    A pixel without a hue counts as red, as in scikit-image.
    """
    if len(image) == 1:
        return image
    value, least = image.max(0), image.min(0)
    spread = value - least
    ways = np.where(spread > 0, (value - image) / np.maximum(spread, 1e-12), _red(image))
    saturation = np.clip(spread / np.maximum(value, 1e-12) * factor + more, 0, 1)
    return value * (1 - saturation * ways)


def _red(image: np.ndarray) -> np.ndarray:
    return np.array([0.0, 1.0, 1.0])[:, None, None] * np.ones_like(image)


def pixelate(image: np.ndarray, share: float, back: Image.Resampling, draws: Draws) -> np.ndarray:
    """Make the image smaller, and as large as before."""
    picture = as_picture(image)
    small = [max(1, int(side * share)) for side in picture.size]
    picture = picture.resize((small[0], small[1]), Image.Resampling.BOX)
    return as_array(picture.resize((image.shape[2], image.shape[1]), back))


def jpeg(image: np.ndarray, quality: int, draws: Draws) -> np.ndarray:
    """Save as JPEG and read again."""
    return _saved(image, "JPEG", quality)


def webp(image: np.ndarray, quality: int, draws: Draws) -> np.ndarray:
    """Save as WebP and read again."""
    return _saved(image, "WEBP", quality)


def _saved(image: np.ndarray, kind: str, quality: int) -> np.ndarray:
    picture, file = as_picture(image), BytesIO()
    picture.save(file, kind, quality=quality)
    with Image.open(file) as opened:
        return as_array(opened.convert(picture.mode))


def as_picture(image: np.ndarray) -> Image.Image:
    """[C, H, W] in 0..1 as a picture of 8 bits."""
    pixels = np.rint(image * 255).astype(np.uint8).transpose(1, 2, 0)
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def as_array(picture: Image.Image) -> np.ndarray:
    """A picture as [C, H, W] in 0..1."""
    pixels = np.asarray(picture, np.float64) / 255
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def elastic(image: np.ndarray, reach: float, deviation: float, skew: float, draws: Draws) -> np.ndarray:
    """Move every pixel a little, in directions that change slowly.

    Args:
        image: the image.
        reach: how far before smoothing, as a share of the height.
        deviation: of the smoothing, as a share of each side.
        skew: how far an affine map first moves three points at most, as a share of the height.
        draws: random numbers.
    """
    height, width = image.shape[1:]
    if skew:
        image = _skewed(image, skew * height, draws)
    offsets = [draws.uniform(-1, 1, (height, width)) for _ in range(2)]
    if not reach:
        return image
    sigma = (deviation * height, deviation * width)
    right, down = (gaussian(offset, sigma, "symmetric", 3.0) * reach * height for offset in offsets)
    y, x = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    return sampled(image, y + down, x + right, "mirror")


def _skewed(image: np.ndarray, most: float, draws: Draws) -> np.ndarray:
    """An affine map that moves three points by at most so many pixels each way."""
    height, width = image.shape[1:]
    centre, third = np.array([width // 2, height // 2]), min(height, width) // 3
    points = np.array([centre + third, [centre[0] + third, centre[1] - third], centre - third], float)
    places = points + draws.uniform(-most, most, (3, 2))
    if not third:
        return image
    return moved(image, _affine(places[:, ::-1], points[:, ::-1]), "mirror-101")


def _affine(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The map [2, 3] of (row, column, 1) that takes three points [3, 2] to three others."""
    full = np.column_stack([start, np.ones(3)])
    return (np.linalg.pinv(full) @ end).T
