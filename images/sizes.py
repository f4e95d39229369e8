"""Sizes of changes to pixels of 0..1 as people write them: 0.03, or 8/255."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from ..errors import VivavoceError

GREY_LEVELS = 255
"""Steps between the darkest and the brightest value of an 8-bit pixel."""
NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
WRITTEN = re.compile(rf"\s*({NUMBER})\s*(?:/\s*({NUMBER})\s*)?", re.ASCII)


def read_size(text: str, option: str) -> float:
    """Read a number or a fraction.

    Args:
        text: such as `0.03` or `8/255`.
        option: where it comes from, for the message.

    Raises:
        VivavoceError: the text is neither.
    """
    match = WRITTEN.fullmatch(text)
    below = float(match[2] or 1) if match else 0.0
    if match is None or below == 0 or not math.isfinite(size := float(match[1]) / below):
        raise VivavoceError(f"{option} must be a number or a fraction, such as 0.03 or 8/255, not {text!r}")
    return size


def in_grey_levels(sizes: Sequence[float]) -> str:
    """One size per channel in units of 0..1, as multiples of 1/255: `8/255`, `14.9 to 15.7/255`."""
    low, high = (f"{GREY_LEVELS * size:.3g}" for size in (min(sizes), max(sizes)))
    return f"{low}/255" if low == high else f"{low} to {high}/255"


def short_size(size: float) -> str:
    """A size in units of 0..1: `8/255` where it is a whole number of grey levels, else four digits."""
    levels = GREY_LEVELS * size
    whole = round(levels)
    return f"{whole}/255" if 0 < whole < GREY_LEVELS and abs(levels - whole) < 1e-3 else f"{size:.4g}"
