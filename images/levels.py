"""Pixel values of every kind that image files hold, brought to 8 bits by the range that the file declares."""

from __future__ import annotations

import numpy as np
from PIL import Image

ROWS = 64
"""Rows of an image that are converted together, where all at once would take several copies of it."""
DEEP = ("PNG", "TIFF", "PPM", "JPEG2000", None)
"""Formats whose 16-bit grey is known to be unsigned; None: an image that was made in memory."""
DIRECT = ("L", "RGB", "1", "P", "LA", "PA", "RGBA")
"""Modes from which Pillow converts to grey and to RGB alike."""
MAX_SAMPLE_VALUE, S_MAX_SAMPLE_VALUE, BITS_PER_SAMPLE, PHOTOMETRIC, SAMPLE_FORMAT = 281, 341, 258, 262, 339
"""TIFF 6.0 tags."""


class Unreadable(ValueError):
    """Why the pixels of an image cannot be used; a phrase without the image's name."""


def eight_bits(image: Image.Image, grey: bool) -> Image.Image:
    """Return an image in mode L or RGB, with transparency laid on white.

    Integers are scaled by the largest value of the depth that the file declares, floats from 0..1. Nothing is
    guessed from the values.

    Raises:
        Unreadable: 32-bit or signed integers, which declare no range of grey; floats outside 0..1.
    """
    mode = "L" if grey else "RGB"
    if image.mode == "F":
        image = _scaled(image, 1.0)
    elif image.mode.startswith("I"):
        image = _scaled(image, _largest(image))
    elif image.has_transparency_data:
        image = _on_white(image)
    if image.mode not in DIRECT:
        image = image.convert("RGB")
    return image if image.mode == mode else image.convert(mode)


def _largest(image: Image.Image) -> float:
    """The value of white in a grey image of more than 8 bits."""
    sixteen = image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM"))
    if not sixteen or image.format not in DEEP:
        raise Unreadable("32-bit or signed integers declare no range of grey; save it with 8 or 16 bits")
    tags = getattr(image, "tag_v2", None)
    if tags is None:
        return 65535.0
    bits = _first(tags.get(BITS_PER_SAMPLE), 16)
    if bits != 16:
        return 2.0**bits - 1
    # TIFF 6.0 calls these statistics, but cameras declare their depth with them. A value of 2^k - 1 is one.
    declared = [_first(tags.get(tag), 0) for tag in (MAX_SAMPLE_VALUE, S_MAX_SAMPLE_VALUE)]
    return float(next((v for v in declared if v in [2**k - 1 for k in range(9, 16)]), 65535))


def _first(value: object, default: int) -> int:
    value = value[0] if isinstance(value, tuple) and value else value
    return int(value) if isinstance(value, int | float) and np.isfinite(value) else default


def _scaled(image: Image.Image, largest: float) -> Image.Image:
    """Grey of any depth as 8 bits, in strips."""
    tags = getattr(image, "tag_v2", {})
    inverted = tags.get(PHOTOMETRIC) == 0  # white is zero: Pillow minds it at 8 bits only
    clear = image.info.get("transparency")
    flat = Image.new("L", image.size)
    for top in range(0, image.height, ROWS):
        strip = image.crop((0, top, image.width, min(top + ROWS, image.height)))
        values = np.asarray(strip).astype(np.float64)
        if largest == 1 and not ((values >= 0) & (values <= 1)).all():
            raise Unreadable("floats outside 0..1 declare no range of grey; scale them, or save 8 or 16 bits")
        shares = np.minimum(values / largest, 1)
        shares = 1 - shares if inverted else shares
        if isinstance(clear, int):
            shares = np.where(values == clear, 1, shares)
        flat.paste(Image.fromarray(np.floor(shares * 255 + 0.5).astype(np.uint8)), (0, top))
    return flat


def _on_white(image: Image.Image) -> Image.Image:
    """Lay a transparent image on white."""
    flat = Image.new("RGB", image.size)
    for top in range(0, image.height, ROWS):
        rows = image.crop((0, top, image.width, min(top + ROWS, image.height))).convert("RGBA")
        rows = Image.alpha_composite(Image.new("RGBA", rows.size, "white"), rows)
        flat.paste(rows.convert("RGB"), (0, top))
    return flat
