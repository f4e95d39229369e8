"""How an image of any size is brought to the size and channels that a model takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from .levels import Unreadable, eight_bits

if TYPE_CHECKING:
    from ..artifacts.manifest import Input, Interpolation

MAX_RESIZED = 2**26
"""Pixels of the largest image that resizing may give before the crop: 1024 to 1 at a shorter side of 256."""


@dataclass(frozen=True)
class Fit:
    """The size and channels a model takes, and how an image of any size gets there.

    Resizing and cropping give the pixels of torchvision's `Resize(resize)` and `CenterCrop((height, width))`
    on PIL images.
    """

    height: int
    width: int
    channels: int = 3
    resize: int | None = None
    """Resize the shorter side to this, then crop the centre; 0: crop the centre without resizing; None:
    resize to height x width."""
    interpolation: Interpolation = "bilinear"
    antialias: bool = True
    """Average over all pixels that one pixel of a smaller image covers, as Pillow does. Otherwise read
    between the nearest pixels alone, as OpenCV and onnxruntime do; bilinear and bicubic only."""

    @classmethod
    def of(cls, entry: Input) -> Fit:
        """What the input described by a manifest takes."""
        return cls(entry.height, entry.width, entry.channels, entry.resize, entry.interpolation)

    def __call__(self, image: Image.Image) -> np.ndarray:
        """Return the image as uint8 [height, width, channels], upright and in RGB or grey.

        Raises:
            Unreadable: its values have no range that is known, or it is too long and thin to resize.
        """
        ImageOps.exif_transpose(image, in_place=True)
        image = eight_bits(image, grey=self.channels == 1)
        image = self._resize(image, self._resized(*image.size))
        left, top = _start(image.width, self.width), _start(image.height, self.height)
        image = image.crop((left, top, left + self.width, top + self.height))  # zeros where it reaches over
        return np.asarray(image, np.uint8).reshape(self.height, self.width, self.channels)

    def _resize(self, image: Image.Image, size: tuple[int, int]) -> Image.Image:
        if self.antialias or size == image.size or self.interpolation not in ("bilinear", "bicubic"):
            return image.resize(size, Image.Resampling[self.interpolation.upper()])
        across, down = image.width / size[0], image.height / size[1]
        filters = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
        steps = (across, 0, 0, 0, down, 0)
        return image.transform(size, Image.Transform.AFFINE, steps, filters[self.interpolation])

    def _resized(self, width: int, height: int) -> tuple[int, int]:
        """Width and height before the crop. As in torchvision, the longer side is truncated."""
        if self.resize is None:
            return self.width, self.height
        if self.resize == 0:
            return width, height
        short, long = sorted((width, height))
        longer = int(self.resize * long / short)
        if longer * self.resize > MAX_RESIZED:
            raise Unreadable(
                f"{width} x {height} pixels are too thin to resize to {self.resize} on the shorter side"
            )
        return (self.resize, longer) if width <= height else (longer, self.resize)


def _start(size: int, crop: int) -> int:
    """Where a central crop begins; below 0 where it reaches over. As in torchvision, halves go to even."""
    return round((size - crop) / 2) if size >= crop else -((crop - size) // 2)
