"""How the input of a file without a manifest takes images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import msgspec
from onnx import TensorProto

from ..errors import VivavoceError
from .manifest import Decoding, Input, Manifest
from .preprocessing import Preprocessing

FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
"""Types of images that have a gradient."""


class Entry(msgspec.Struct, frozen=True):
    """A preprocessing input as understood."""

    batch: int | str
    channels: int
    height: int
    width: int
    nhwc: bool
    shape: tuple[int, ...] | None
    """Shape to reshape to when the model's input is not 4-D."""
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    reverse: bool
    element: int
    """The input's type, one of `FLOATS`."""

    @classmethod
    def understand(
        cls, name: str, sizes: Sequence[int | None], element: int, path: Path, options: Preprocessing
    ) -> Entry:
        """Infer how an input takes images.

        Args:
            name: the input's, for messages.
            sizes: its shape, None where a size is open.
            element: its ONNX element type.
            path: the file, for messages.
            options: what the user says; the rest is inferred.

        Raises:
            VivavoceError: it does not take images, or an option is missing or wrong.
        """
        dims = list(sizes)
        if element not in FLOATS:
            kind = TensorProto.DataType.Name(element).lower()
            raise VivavoceError(
                f"{path}: the input {name!r} is {kind}; only float images can be attacked: "
                "export the model from where it has converted them to float"
            )
        if len(dims) < 2:
            raise VivavoceError(f"{path}: the input {name!r} has shape {dims}, not that of images")
        size = options.size or ((options.crop, options.crop) if options.crop else None)
        lone = len(dims) == 3 and None not in dims and (dims[0] in (1, 3) or dims[2] in (1, 3))
        if lone:
            dims.insert(0, 1)
        channels, height, width, nhwc, shape = _image_shape(dims[1:], size, path, options)
        mean = _per_channel(options.mean or (0.0,), channels, "mean", path)
        std = _per_channel(options.std or (1.0,), channels, "std", path)
        reverse = options.channels == "bgr"
        scale, batch = options.scale or 1.0, dims[0] or "N"
        shape = shape and (batch if isinstance(batch, int) else -1, *shape)
        if lone:
            shape = (height, width, channels) if nhwc else (channels, height, width)
        return cls(batch, channels, height, width, nhwc, shape, scale, mean, std, reverse, element)

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


def _image_shape(
    dims: Sequence[int | None], size: tuple[int, int] | None, path: Path, options: Preprocessing
) -> tuple[int, int, int, bool, tuple[int, ...] | None]:
    """Channels, height, width, whether channels come last, and a shape to reshape to (or None)."""
    if len(dims) == 3:
        nhwc = options.layout == "nhwc" or (
            options.layout is None and dims[0] not in (1, 3) and dims[2] in (1, 3)
        )
        channels, height, width = (dims[2], dims[0], dims[1]) if nhwc else dims
        channels = channels or (1 if options.channels == "grey" else 3)
        if size and height and width and size != (height, width):
            raise VivavoceError(f"{path}: the model takes {height}x{width} images, not {size[0]}x{size[1]}")
        height, width = (height, width) if height and width else size or (None, None)
        if channels not in (1, 3):
            raise VivavoceError(
                f"{path}: the input has {channels} channels; images have 1 or 3 (--layout nhwc?)"
            )
        if height is None or width is None:
            raise VivavoceError(f"{path}: the model takes images of any size; say which with --size 224")
        return channels, height, width, nhwc, None
    known = [d for d in dims if d is not None]
    total = math.prod(known)
    channels = 1 if options.channels == "grey" or (options.channels is None and total % 3) else 3
    side = math.isqrt(total // channels)
    height, width = size or (side, side)
    if len(known) != len(dims) or channels * height * width != total:
        raise VivavoceError(
            f"{path}: the input has shape {list(dims)}; say --size and --channels of its images"
        )
    return channels, height, width, options.layout == "nhwc", tuple(known)


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
