"""Patches of pixels, and how they are pasted into images: upright, or turned and scaled at random."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .base import Ball, Shape
from .norms import pixels_of
from .streams import Streams

TURN = math.radians(22.5)
"""Largest rotation of a patch that is placed at random, either way (Brown et al. 2017)."""
SMALLEST = 0.8
"""Smallest scale of such a patch, as a share of the side; its largest covers what the ball allows."""


def stencil(ball: Ball, height: int, width: int) -> np.ndarray:
    """The pixels of the largest upright patch: bool [side, side]; empty if that is less than one pixel."""
    most = pixels_of(float(ball.radius.max()), height, width)
    if ball.shape == "square":
        side = min(math.isqrt(most), height, width)
        return np.ones((side, side), bool)
    across = 2 * math.sqrt(most / math.pi)
    while True:
        side = min(math.ceil(across), height, width)
        steps = np.arange(side) - (side - 1) / 2
        inside = np.hypot(steps[:, None], steps) <= across / 2
        if inside.sum() <= most:
            return inside
        across -= 0.05


def room_for(share: float, shape: Shape, height: int, width: int) -> bool:
    """Whether an upright patch that covers this share fits into images of this size."""
    across = math.sqrt(share * height * width) * (1 if shape == "square" else 2 / math.sqrt(math.pi))
    return across <= min(height, width) + 1e-6


@dataclass(frozen=True)
class Upright:
    """Where an upright patch is in each of n images."""

    inside: np.ndarray
    """bool [side, side]: its pixels."""
    top: np.ndarray
    """int64 [n]."""
    left: np.ndarray

    @classmethod
    def draw(cls, inside: np.ndarray, streams: Streams, step: int, height: int, width: int) -> Upright:
        """Anywhere, evenly."""
        both = streams.uniform(step, (2,)).astype(np.float64)
        side = len(inside)
        top, left = (
            np.floor(both[:, a] * (size - side + 1)).astype(np.int64)
            for a, size in enumerate((height, width))
        )
        return cls(inside, top, left)

    def part(self, some: np.ndarray) -> Upright:
        """The places in some of the images."""
        return Upright(self.inside, self.top[some], self.left[some])

    def _index(self, channels: int) -> tuple[np.ndarray, ...]:
        steps = np.arange(len(self.inside))
        return (
            np.arange(len(self.top))[:, None, None, None],
            np.arange(channels)[None, :, None, None],
            (self.top[:, None] + steps)[:, None, :, None],
            (self.left[:, None] + steps)[:, None, None, :],
        )

    def paste(self, images: np.ndarray, content: np.ndarray) -> np.ndarray:
        """The images with content [n, C, side, side] in these places."""
        pasted, index = images.copy(), self._index(images.shape[1])
        pasted[index] = np.where(self.inside, content, images[index])
        return pasted

    def cut(self, arrays: np.ndarray) -> np.ndarray:
        """What arrays [n, C, H, W] hold in these places: [n, C, side, side], 0 outside the shape."""
        return np.where(self.inside, arrays[self._index(arrays.shape[1])], 0)


@dataclass(frozen=True)
class Turned:
    """Where a turned and scaled patch is in each of n images, and which of its pixels is where.

    A pixel of the image takes the patch's colour at its centre, interpolated linearly.
    """

    inside: np.ndarray
    """bool [n, H, W]."""
    corners: np.ndarray
    """int64 [4, n, H, W]: the numbers of the four pixels of the patch around that point."""
    weights: np.ndarray
    """float32 [4, n, H, W]: their shares."""

    @classmethod
    def draw(cls, ball: Ball, side: int, streams: Streams, step: int, height: int, width: int) -> Turned:
        """At a random place, scale and rotation, whole in the image; `side` is that of the patch's pixels."""
        place, scale, turn = (
            streams.uniform(4 * step + k, shape).astype(np.float64) for k, shape in enumerate(((2,), (), ()))
        )
        angle = (2 * turn - 1) * TURN
        cosine, sine = np.cos(angle), np.sin(angle)
        spread = np.abs(cosine) + np.abs(sine) if ball.shape == "square" else np.ones(len(angle))
        most = pixels_of(float(ball.radius.max()), height, width)
        full = math.sqrt(most) * (1 if ball.shape == "square" else 2 / math.sqrt(math.pi))
        across = np.minimum((SMALLEST + (1 - SMALLEST) * scale) * full, min(height, width) / spread)
        while True:
            half = across * spread / 2
            middles = [half + place[:, a] * (size - 2 * half) for a, size in enumerate((height, width))]
            u, v = _coordinates(middles, across, cosine, sine, height, width)
            square = np.maximum(np.abs(u), np.abs(v)) <= 0.5
            inside = square if ball.shape == "square" else u**2 + v**2 <= 0.25
            over = inside.sum((1, 2)) > most
            if not over.any():
                return cls(inside, *_corners(u, v, side))
            across = np.where(over, 0.98 * across, across)

    def paste(self, images: np.ndarray, texture: np.ndarray) -> np.ndarray:
        """The images with the patch, whose pixels are [C, side, side]."""
        flat = texture.reshape(len(texture), -1)
        colours = (flat[:, self.corners] * self.weights).sum(1)
        return np.where(self.inside[:, None], colours.swapaxes(0, 1), images).astype(np.float32)

    def gather(self, gradients: np.ndarray, side: int) -> np.ndarray:
        """Sum the gradients [n, C, H, W] of images over the pixels of the patch: float64 [C, side, side]."""
        total = np.zeros((gradients.shape[1], side * side))
        for corners, weights in zip(self.corners, self.weights, strict=True):
            numbers, shares = corners[self.inside], weights[self.inside]
            for channel in range(gradients.shape[1]):
                parts = gradients[:, channel][self.inside] * shares
                total[channel] += np.bincount(numbers, parts, side * side)
        return total.reshape(-1, side, side)


def _coordinates(
    middles: list[np.ndarray],
    across: np.ndarray,
    cosine: np.ndarray,
    sine: np.ndarray,
    height: int,
    width: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel's centre is in the patch, whose sides go from -0.5 to 0.5: two [n, H, W]."""
    down = (np.arange(height) + 0.5)[None, :, None] - middles[0][:, None, None]
    right = (np.arange(width) + 0.5)[None, None, :] - middles[1][:, None, None]
    cosine, sine, across = (a[:, None, None] for a in (cosine, sine, across))
    return (cosine * right + sine * down) / across, (cosine * down - sine * right) / across


def _corners(u: np.ndarray, v: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The numbers and weights of the four pixels of the patch around points (column u, row v)."""
    column, row = (np.clip((a + 0.5) * side - 0.5, 0, side - 1) for a in (u, v))
    left, top = (np.minimum(np.floor(a).astype(np.int64), max(side - 2, 0)) for a in (column, row))
    right, bottom = (np.minimum(a + 1, side - 1) for a in (left, top))
    x, y = column - left, row - top
    corners = [top * side + left, top * side + right, bottom * side + left, bottom * side + right]
    weights = [(1 - y) * (1 - x), (1 - y) * x, y * (1 - x), y * x]
    return np.stack(corners), np.stack(weights).astype(np.float32)
