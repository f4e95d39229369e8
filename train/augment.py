"""Random crops and flips, a whole batch at a time on its device."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Draws(NamedTuple):
    """What chance decided for each image of a batch."""

    top: Tensor
    """int64 [N]: rows cropped away above, of the padded image."""
    left: Tensor
    """int64 [N]: columns cropped away on the left."""
    flipped: Tensor
    """bool [N]."""
    middle: Tensor | None = None
    """float32 [N, 2] in 0..1: where the square of `cut_out` lies, down and across; None: nowhere."""

    def part(self, of: slice) -> Draws:
        """Those of some of the images."""
        middle = None if self.middle is None else self.middle[of]
        return Draws(self.top[of], self.left[of], self.flipped[of], middle)


def draw(n: int, padding: int, flip: bool, generator: torch.Generator, square: bool = False) -> Draws:
    """Draw crops, flips and squares for n images, on the CPU, so that every device sees the same ones."""
    top, left = torch.randint(2 * padding + 1, (2, n), generator=generator)
    flipped = torch.rand(n, generator=generator) < 0.5 if flip else torch.zeros(n, dtype=torch.bool)
    return Draws(top, left, flipped, torch.rand((n, 2), generator=generator) if square else None)


def to_unit(images: Tensor) -> Tensor:
    """Bytes as float32 in 0..1; features, which are floats already, as they are."""
    return images.float() / 255 if images.dtype == torch.uint8 else images


def alternating(n: int, seed: int) -> Tensor:
    """Which of n training images are flipped in the first epoch, and in every second one: bool [n]."""
    return torch.rand(n, generator=torch.Generator().manual_seed(seed)) < 0.5


def augment(images: Tensor, padding: int, draws: Draws, border: str = "zero") -> Tensor:
    """Crop images [N, C, H, W] of any type out of a border of `padding` pixels, and flip some.

    Crop and flip are one gather, of whole pixels: the result lies in memory as [N, H, W, C].

    Args:
        images: the images.
        padding: width of the border, less than the images' height and width.
        draws: where to crop, and which to flip.
        border: `zero`, or `reflect`: the image mirrored at its outermost pixels.
    """
    n, _, height, width = images.shape
    columns = torch.arange(width).expand(n, width)
    columns = torch.where(draws.flipped[:, None], columns.flip(1), columns) + draws.left[:, None]
    rows = torch.arange(height) + draws.top[:, None]
    if border == "reflect":
        rows, columns = _reflected(rows - padding, height), _reflected(columns - padding, width)
        padded = images.permute(0, 2, 3, 1)
    else:
        padded = F.pad(images, (padding,) * 4).permute(0, 2, 3, 1)
    every = torch.arange(n, device=images.device)[:, None, None]
    place = rows.to(images.device)[:, :, None], columns.to(images.device)[:, None, :]
    return padded[every, *place].permute(0, 3, 1, 2)


def cut_out(images: Tensor, side: int, middle: Tensor, colour: Tensor) -> Tensor:
    """Fill a square of each image with one colour (DeVries & Taylor 2017, arXiv 1708.04552).

    The middle is anywhere in the image, so that part of the square may lie outside.

    Args:
        images: float32 [N, 3, H, W].
        side: height and width of the square in pixels.
        middle: float32 [N, 2] in 0..1, down and across.
        colour: that broadcasts to the images.
    """
    inside = []
    for axis, size in enumerate(images.shape[2:]):
        first = (middle[:, axis] * size).long() - side // 2
        place = torch.arange(size) - first[:, None]
        inside.append(((place >= 0) & (place < side)).to(images.device))
    square = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return torch.where(square, colour.to(images), images)


def _reflected(place: Tensor, size: int) -> Tensor:
    """Indices in 0..size - 1 for those up to size - 1 outside."""
    place = place.abs()
    return torch.where(place < size, place, 2 * (size - 1) - place)
