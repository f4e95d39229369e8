"""A set of labelled images, and how one is read."""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..errors import VivavoceError
from .fit import Fit
from .levels import Unreadable

MAX_PIXELS = 178_956_970
"""Pixels of the largest image file that is read: Pillow's own limit."""
NOT_PIXELS = ("BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF")
"""Formats that Pillow recognises and cannot decode by itself; for EPS it would run Ghostscript."""

_opening = threading.Lock()


class ImageError(VivavoceError):
    """A file that cannot be read as an image."""


class TooManyPixels(ImageError):
    """An image that is not decoded, because its header announces more pixels than allowed."""


class DamagedImage(ImageError):
    """An image of a known kind that is cut off or broken."""


def read_image(path: str | Path, fit: Fit) -> np.ndarray:
    """Read one image file as uint8 [height, width, channels].

    Raises:
        VivavoceError: the file is missing, or not an image that Pillow can read whole.
    """
    path = Path(path)
    try:
        if not path.is_file() and not path.is_dir() and path.exists():
            raise VivavoceError(f"{path}: not a regular file")
        with path.open("rb") as file:
            return decode(file, fit, str(path))
    except FileNotFoundError:
        raise VivavoceError(f"{path}: no such image") from None
    except IsADirectoryError:
        raise VivavoceError(f"{path}: a folder, not an image") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise VivavoceError(f"{path}: cannot be read ({reason})") from error


def decode(
    source: bytes | BinaryIO,
    fit: Fit,
    name: str = "image",
    max_pixels: int = MAX_PIXELS,
    formats: tuple[str, ...] | None = None,
) -> np.ndarray:
    """Decode an image file's content as uint8 [height, width, channels]; of an animation the first frame.

    Args:
        source: the content, or an open file.
        fit: what the model takes.
        name: what to call the image in an error.
        max_pixels: refuse, by the header and before decoding, what has more pixels.
        formats: Pillow's names of the formats that are tried; None: all of them.

    Raises:
        ImageError: empty, or not an image of these formats.
        TooManyPixels: more than `max_pixels`.
        DamagedImage: cut off or broken.
    """
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    if not file.read(1):
        raise ImageError(f"{name}: empty, not an image")
    file.seek(0)
    try:
        with _open(file, formats) as image:
            if image.format in NOT_PIXELS:
                raise ImageError(f"{name}: not an image that can be read ({image.format})")
            pixels = image.width * image.height
            if pixels > max_pixels:
                raise TooManyPixels(_too_many(name, f"{image.width} x {image.height} pixels", max_pixels))
            return fit(image)
    except VivavoceError:
        raise
    except Unreadable as error:
        raise ImageError(f"{name}: {error}") from None
    except Image.DecompressionBombError:
        raise TooManyPixels(_too_many(name, "too many pixels", max_pixels)) from None
    except UnidentifiedImageError:
        raise ImageError(f"{name}: not an image that can be read (no known format)") from None
    except Exception as error:  # damaged files make Pillow's readers fail in every way there is
        raise DamagedImage(
            f"{name}: not an image that can be read whole; cut off or damaged ({type(error).__name__})"
        ) from error


def _open(file: BinaryIO, formats: tuple[str, ...] | None) -> Image.Image:
    """Read the header. Pillow's warning of large images is ours to give; the filter is the process's."""
    with _opening, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(file, formats=formats)


def _too_many(name: str, size: str, most: int) -> str:
    return f"{name}: {size}; at most {most / 1e6:.0f} million are read, so make it smaller"


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
    shifted: ImageSet | None = None
    """The same objects in other circumstances, in the same order; see `pairs`."""

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
