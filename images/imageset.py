"""A set of labelled images, and how one is brought to the size a model takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ..errors import VivavoceError

if TYPE_CHECKING:
    from ..artifacts.manifest import Input, Interpolation


@dataclass(frozen=True)
class Fit:
    """The size and channels a model takes, and how an image of any size gets there."""

    height: int
    width: int
    channels: int = 3
    resize: int | None = None
    """Resize the shorter side to this, then crop the centre; None: resize to height x width."""
    interpolation: Interpolation = "bilinear"

    @classmethod
    def of(cls, entry: Input) -> Fit:
        """What the input described by a manifest takes."""
        return cls(entry.height, entry.width, entry.channels, entry.resize, entry.interpolation)

    def __call__(self, image: Image.Image) -> np.ndarray:
        """Return the image as uint8 [height, width, channels], upright and in RGB or grey."""
        image = ImageOps.exif_transpose(image)
        image = _on_white(image).convert("L" if self.channels == 1 else "RGB")
        how = Image.Resampling[self.interpolation.upper()]
        if self.resize is not None:
            scale = self.resize / min(image.size)
            size = (
                max(round(image.width * scale), self.width),
                max(round(image.height * scale), self.height),
            )
            image = image.resize(size, how)
            left, top = (image.width - self.width) // 2, (image.height - self.height) // 2
            image = image.crop((left, top, left + self.width, top + self.height))
        elif image.size != (self.width, self.height):
            image = image.resize((self.width, self.height), how)
        return np.asarray(image, np.uint8).reshape(self.height, self.width, self.channels)


def _on_white(image: Image.Image) -> Image.Image:
    """Lay a transparent image on white, and bring 16-bit grey to 8 bits, which Pillow would clip."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return image


def read_image(path: str | Path, fit: Fit) -> np.ndarray:
    """Read one image file as uint8 [height, width, channels].

    Raises:
        VivavoceError: the file is missing, or not an image that Pillow can read whole.
    """
    try:
        with Image.open(path) as image:
            return fit(image)
    except FileNotFoundError:
        raise VivavoceError(f"{path}: no such image") from None
    except IsADirectoryError:
        raise VivavoceError(f"{path}: a folder, not an image") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise VivavoceError(f"{path}: not an image that can be read ({type(error).__name__})") from error


def to_float(pixels: np.ndarray) -> np.ndarray:
    """Turn uint8 [N, H, W, C] into float32 [N, C, H, W] in 0..1, the form in which models are asked."""
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)).astype(np.float32) / np.float32(255)


@dataclass(frozen=True)
class ImageSet:
    """Labelled images, read as they are asked for."""

    name: str
    """What the user called it: `digits`, or the last part of a path."""
    labels: np.ndarray
    """int64 [N], indices into `classes`."""
    classes: tuple[str, ...]
    read: Callable[[int, Fit], np.ndarray]
    """Image by index: uint8 [height, width, channels]."""
    files: tuple[str, ...] | None = None
    """Path of each image relative to the data folder, where there is one."""
    named: bool = True
    """Whether `classes` are names somebody gave, not just 0, 1, ..."""

    def __len__(self) -> int:
        """Count the images."""
        return len(self.labels)

    def pixels(self, indices: np.ndarray, fit: Fit) -> np.ndarray:
        """The images at `indices`: uint8 [n, height, width, channels]."""
        return np.stack([self.read(int(i), fit) for i in indices])

    def sample(self, limit: int, seed: int) -> np.ndarray:
        """Indices of a seeded, stratified sample of at most `limit` images, in order; 0: all.

        Each class gets its share, rounded down; the seats left over go to the largest remainders.
        """
        if limit <= 0 or limit >= len(self):
            return np.arange(len(self))
        order = np.random.default_rng(seed).permutation(len(self))
        counts = np.bincount(self.labels, minlength=len(self.classes))
        share = counts * (limit / len(self))
        seats = np.floor(share).astype(int)
        for k in np.argsort(-(share - seats), kind="stable")[: limit - seats.sum()]:
            seats[k] += 1
        chosen = [order[self.labels[order] == k][: seats[k]] for k in range(len(seats))]
        return np.sort(np.concatenate(chosen))
