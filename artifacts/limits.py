"""What a file may declare: bounds that no image classifier reaches, checked before anything is allocated."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..errors import VivavoceError

MOST_CLASSES = 2**20
"""Classes of a classifier; ImageNet-21k has 21,841."""
MOST_NUMBERS = 2**25
"""Numbers in one image, or one label: a colour image of 3,344 pixels a side."""
MOST_VALUES = 2**28
"""Numbers in one value of a graph, 1 GiB in float32: VGG-16 has 3.2 million per image of 224 pixels."""
LONGEST_SIDE = 16_384
"""Pixels of a side of the images that a model takes."""
LONGEST_WORD = 60
"""Seconds; a word of minutes is not a word."""
MOST_BINS = 2**24
"""Frames times frequencies of one spectrogram, and bands times frequencies of one filter bank."""


class FieldError(VivavoceError, ValueError):
    """A field whose value makes no sense. As a `ValueError`, msgspec adds to it where the field is."""


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Check that a number is finite and in low..high.

    Raises:
        FieldError: it is not.
    """
    if not (math.isfinite(value) and low <= value <= high):
        raise FieldError(f"{name}: must be in {low:g}..{high:g}, is {value:g}")


def check_shape(name: str, shape: Sequence[int], most: int = MOST_NUMBERS) -> None:
    """Check that dimensions are positive and that an array of them has at most `most` entries.

    Raises:
        FieldError: they are not.
    """
    if not 1 <= len(shape) <= 8 or min(shape) < 1 or math.prod(shape) > most:
        raise FieldError(
            f"{name}: must be 1 to 8 positive sizes with a product up to {most:,}, is {list(shape)[:9]}"
        )
