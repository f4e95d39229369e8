"""How the input of a file without a manifest takes images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from onnx import TensorProto

from ..errors import VivavoceError
from ..text import plain
from .first_layer import UNKNOWN, FirstLayer
from .head import FLOATS
from .manifest import Decoding, Input, Manifest
from .preprocessing import Preprocessing

INTEGERS = {
    getattr(TensorProto, name): np.iinfo(name.lower())
    for name in ("UINT8", "INT8", "UINT16", "INT16", "UINT32", "INT32", "UINT64", "INT64")
}
"""Types of images of whole numbers, and their ranges."""
BYTES = 255.0
"""What pixels in 0..1 are multiplied by for a file that takes whole numbers."""
Layout = Literal["nchw", "nhwc"]
LONE = "one image, without a batch"
Form = Literal["image", "grey", "flat"]
Sizes = Sequence[int | None]


class Entry(msgspec.Struct, frozen=True):
    """An input of images as understood."""

    batch: int | str
    """The fixed batch size, or the name of the open one."""
    channels: int
    height: int
    width: int
    nhwc: bool
    """Whether the channels come last."""
    shape: tuple[int, ...] | None
    """Shape to reshape to where the model's input is not 4-D."""
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    reverse: bool
    """Whether the model takes the channels as BGR."""
    element: int
    """The input's type: one of `FLOATS` or `INTEGERS`."""

    @property
    def whole(self) -> bool:
        """Whether the input takes whole numbers, so that pixels are rounded."""
        return self.element in INTEGERS

    @classmethod
    def understand(
        cls,
        name: str,
        sizes: Sizes,
        element: int,
        path: Path,
        options: Preprocessing,
        layer: FirstLayer = UNKNOWN,
    ) -> Entry:
        """Infer how an input takes images.

        Args:
            name: the input's, for messages.
            sizes: its shape, None where a size is open.
            element: its ONNX element type.
            path: the file, for messages.
            options: what the user says; the rest is inferred.
            layer: what the model's first layer says.

        Raises:
            VivavoceError: it does not take images, or an option is missing or wrong.
        """
        _refuse_no_images(name, sizes, element, path)
        form, batch, rest = _form(sizes)
        size = options.size or ((options.crop, options.crop) if options.crop else None)
        if form == "flat":
            channels, height, width = _flat(rest, size, path, options)
            nhwc = options.layout == "nhwc"
            own = tuple(size or 1 for size in rest)
        else:
            nhwc = _layout(rest, layer, path, options) == "nhwc"
            channels, height, width = _image(rest, nhwc, layer, size, path, options)
            own = (height, width, channels) if nhwc else (channels, height, width)
            own = (height, width) if form == "grey" else own
        lone = batch == LONE
        shape = own if lone else (batch if isinstance(batch, int) else -1, *own)
        mean = options.mean or ((128.0,) if element == TensorProto.INT8 else (0.0,))
        return cls(
            batch=1 if lone else batch or "N",
            channels=channels,
            height=height,
            width=width,
            nhwc=nhwc,
            shape=None if len(shape) == 4 and form == "image" else shape,
            scale=options.scale or (BYTES if element in INTEGERS else 1.0),
            mean=_per_channel(mean, channels, "mean", path),
            std=_per_channel(options.std or (1.0,), channels, "std", path),
            reverse=options.channels == "bgr",
            element=element,
        )

    def manifest(self, classes: tuple[str, ...], path: Path, options: Preprocessing) -> Manifest:
        """The manifest of a classifier with this input."""
        return Manifest(
            classes=classes,
            decoding=Decoding("argmax"),
            input=Input(
                height=self.height,
                width=self.width,
                channels=self.channels,
                mean=tuple(m / self.scale for m in self.mean),
                std=tuple(s / self.scale for s in self.std),
                resize=_resize(options, path),
                interpolation=options.interpolation or "bilinear",
            ),
        )


def _refuse_no_images(name: str, sizes: Sizes, element: int, path: Path) -> None:
    if element not in FLOATS and element not in INTEGERS:
        kind = TensorProto.DataType.Name(element).lower()
        raise VivavoceError(
            f"{path}: the input {plain(name)!r} is {kind}; images are floats or integers: choose a "
            "different file, or give this input a value with --fix"
        )
    if not sizes:
        raise VivavoceError(f"{path}: the input {plain(name)!r} is one number, not images")


def _form(dims: Sizes) -> tuple[Form, int | str | None, Sizes]:
    """What an input is, its batch (a size, None where it is open, or `LONE`), and the sizes of one image."""
    if len(dims) == 1:
        return "flat", LONE, dims
    if len(dims) == 2:
        one = None not in dims and _side(dims[1] or 0) is None
        return ("grey", LONE, [1, *dims]) if one else ("flat", dims[0], dims[1:])
    if len(dims) == 3:
        first, second, third = dims
        if first in (1, 3) or (third in (1, 3) and (first or not second)):
            return "image", LONE, dims
        return ("flat", first, dims[1:]) if 1 in dims[1:] else ("grey", first, [1, *dims[1:]])
    return ("image" if len(dims) == 4 else "flat"), dims[0], dims[1:]


def _side(total: int) -> int | None:
    """The side of the square image, grey or of three channels, with so many numbers."""
    sides = ((channels, math.isqrt(total // channels)) for channels in (1, 3))
    return next((side for channels, side in sides if channels * side * side == total), None)


def _layout(rest: Sizes, layer: FirstLayer, path: Path, options: Preprocessing) -> Layout:
    """Whether the channels come first or last.

    Raises:
        VivavoceError: both are possible.
    """
    first, last = (size in (1, 3) for size in (rest[0], rest[2]))
    if options.layout or (first == last and layer.layout):
        return options.layout or layer.layout or "nchw"
    if first and last and set(rest) != {1}:
        known = {"grey": 1, "rgb": 3, "bgr": 3}.get(options.channels or "")
        if known is None or rest[0] == rest[2]:
            raise VivavoceError(
                f"{path}: the input has shape {[size or 'any' for size in rest]} after the batch, whose "
                "channels may come first or last; say which with --layout nchw or --layout nhwc"
            )
        first = rest[0] == known
    return "nhwc" if last and not first else "nchw"


def _image(
    rest: Sizes,
    nhwc: bool,
    layer: FirstLayer,
    size: tuple[int, int] | None,
    path: Path,
    options: Preprocessing,
) -> tuple[int, int, int]:
    """Channels, height and width of an input with three dimensions an image."""
    channels, height, width = (rest[2], rest[0], rest[1]) if nhwc else rest
    if not channels:
        grey = options.channels == "grey" or (options.channels is None and layer.channels == 1)
        channels = 1 if grey else 3
    if size and any(own and own != asked for own, asked in zip((height, width), size, strict=True)):
        shown = f"{height or 'any'}x{width or 'any'}"
        raise VivavoceError(f"{path}: the model takes {shown} images, not {size[0]}x{size[1]}")
    if channels not in (1, 3):
        raise VivavoceError(f"{path}: the input has {channels} channels; images have 1 or 3 (--layout nhwc?)")
    height, width = height or (size and size[0]), width or (size and size[1])
    if not height or not width:
        raise VivavoceError(f"{path}: the model takes images of any size; say which with --size 224")
    return channels, height, width


def _flat(
    rest: Sizes, size: tuple[int, int] | None, path: Path, options: Preprocessing
) -> tuple[int, int, int]:
    """Channels, height and width of an image whose numbers are in a row."""
    known = [d for d in rest if d is not None]
    total = math.prod(known)
    square = math.isqrt(total) ** 2 == total
    grey = options.channels == "grey" or (options.channels is None and (square or total % 3 != 0))
    channels = 1 if grey else 3
    if size and options.channels is None and total in (size[0] * size[1], 3 * size[0] * size[1]):
        channels = total // (size[0] * size[1])
    side = math.isqrt(total // channels)
    height, width = size or (side, side)
    if len(known) != len(rest) or channels * height * width != total:
        raise VivavoceError(
            f"{path}: the input has shape {list(rest)}; say --size and --channels of its images"
        )
    return channels, height, width


def _per_channel(values: tuple[float, ...], channels: int, field: str, path: Path) -> tuple[float, ...]:
    if len(values) not in (1, channels):
        raise VivavoceError(f"{path}: {len(values)} values of {field} for {channels} channels")
    if field == "std" and min(values) <= 0:
        raise VivavoceError(f"{path}: std must be positive")
    return values * channels if len(values) == 1 else values


def _resize(options: Preprocessing, path: Path) -> int | None:
    """What `Input.resize` is for these options."""
    for name, value in (("resize", options.resize), ("crop", options.crop)):
        if value is not None and value < 1:
            raise VivavoceError(f"{path}: --{name} must be at least 1")
    if options.size and options.crop and options.size != (options.crop, options.crop):
        height, width = options.size
        raise VivavoceError(
            f"{path}: --size {height}x{width} and --crop {options.crop} do not agree; give one"
        )
    return options.resize if options.resize or not options.crop else 0
