"""ONNX files without a manifest: inferring what they take and give, and adapting them to the contract."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..documents import convert, read_toml
from ..errors import VivavoceError
from ..text import plain
from .graph import rename, replace_nodes
from .manifest import Decoding, Input, Manifest
from .preprocessing import Preprocessing
from .scores import as_rows, find_scores


def with_settings_file(path: Path, options: Preprocessing | None) -> Preprocessing:
    """Fill what `options` leave open from `<model>.toml` next to the model, if that file exists.

    Raises:
        VivavoceError: the file has an unknown name or a value of the wrong type.
    """
    options = options or Preprocessing()
    file = path.with_suffix(".toml")
    if not file.exists():
        return options
    content = read_toml(file, "the settings of a model")
    unknown = sorted(content.keys() - Preprocessing.__dataclass_fields__)
    if unknown:
        known = ", ".join(Preprocessing.__dataclass_fields__)
        raise VivavoceError(f"{file}: unknown setting {plain(unknown[0])!r}; the settings are {known}")
    settings = convert(content, Preprocessing, str(file))
    given = options.given
    if settings.classes and "classes" not in given:
        given["classes"] = str(file.parent / settings.classes)
    return replace(settings, **given)


def adapt(
    model: onnx.ModelProto, path: Path, options: Preprocessing
) -> tuple[onnx.ModelProto, Manifest, bool, str | None]:
    """Give a preprocessing model the contract's input `image` and output `scores`.

    Preprocessing becomes nodes in front of the graph, so that everything downstream, gradients
    included, sees images [N, C, H, W] in 0..1. A Softmax or LogSoftmax at the end is bypassed: same
    decisions, but scores on the scale of logits, whose gradient does not vanish with confidence.

    Returns:
        The adapted graph, its manifest, whether the class names are known, and the operator that was
        bypassed at the end (None: none was).

    Raises:
        VivavoceError: the file does not look like a classifier of one image, or needs an option.
    """
    graph = model.graph
    weights = {t.name for t in graph.initializer}
    inputs = [v for v in graph.input if v.name not in weights]
    if len(inputs) != 1:
        raise VivavoceError(
            f"{path}: {len(inputs)} inputs ({_names(inputs)}); a classifier of images takes one: "
            "export the model with the others built in as constants"
        )
    entry = _Entry.understand(inputs[0], path, options)
    found = find_scores(model, path, options.output_name, options.classes)
    adapted = onnx.ModelProto()
    adapted.CopyFrom(model)
    own = {"image": "vivavoce/own_image", "scores": "vivavoce/own_scores"}
    for taken, free in own.items():
        rename(adapted.graph, taken, free)
    scores = own.get(found.value, found.value)
    if not found.rows:
        scores = as_rows(adapted.graph, scores, len(found.names))
    _prepend(adapted.graph, own.get(inputs[0].name, inputs[0].name), entry)
    last = helper.make_node("Cast", [scores], ["scores"], name="vivavoce/scores", to=TensorProto.FLOAT)
    adapted.graph.node.append(last)
    del adapted.graph.output[:]
    adapted.graph.output.append(
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, [entry.batch, len(found.names)])
    )
    manifest = Manifest(
        classes=found.names,
        decoding=Decoding("argmax"),
        input=Input(
            height=entry.height,
            width=entry.width,
            channels=entry.channels,
            mean=tuple(m / entry.scale for m in entry.mean),
            std=tuple(s / entry.scale for s in entry.std),
            resize=_resize(options, path),
            interpolation=options.interpolation or "bilinear",
        ),
    )
    return adapted, manifest, found.named, found.bypassed


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


FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
"""Types of images that have a gradient."""


class _Entry(msgspec.Struct, frozen=True):
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
    def understand(cls, value: onnx.ValueInfoProto, path: Path, options: Preprocessing) -> _Entry:
        dims = [d.dim_value if d.dim_value > 0 else None for d in value.type.tensor_type.shape.dim]
        element = value.type.tensor_type.elem_type
        if element not in FLOATS:
            kind = TensorProto.DataType.Name(element).lower()
            raise VivavoceError(
                f"{path}: the input {value.name!r} is {kind}; only float images can be attacked: "
                "export the model from where it has converted them to float"
            )
        if len(dims) < 2:
            raise VivavoceError(f"{path}: the input {value.name!r} has shape {dims}, not that of images")
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


def _prepend(graph: onnx.GraphProto, entrance: str, entry: _Entry) -> None:
    """Put `image` and the preprocessing nodes before the model's own input."""
    nodes, current = [], "image"

    def step(operator: str, *constants: np.ndarray, **attributes: Any) -> None:
        nonlocal current
        made = f"vivavoce/{operator.lower()}_{len(nodes)}"
        names = [f"{made}_{k}" for k in range(len(constants))]
        graph.initializer.extend(numpy_helper.from_array(a, n) for a, n in zip(constants, names, strict=True))
        nodes.append(helper.make_node(operator, [current, *names], [made], name=made, **attributes))
        current = made

    def column(values: Sequence[float]) -> np.ndarray:
        return np.array(values, np.float32).reshape(1, -1, 1, 1)

    if entry.scale != 1:
        step("Mul", np.array(entry.scale, np.float32))
    if any(entry.mean):
        step("Sub", column(entry.mean))
    if any(s != 1 for s in entry.std):
        step("Div", column(entry.std))
    if entry.reverse:
        step("Gather", np.arange(entry.channels)[::-1].astype(np.int64), axis=1)
    if entry.nhwc:
        step("Transpose", perm=[0, 2, 3, 1])
    if entry.shape is not None:
        step("Reshape", np.array(entry.shape, np.int64))
    if entry.element != TensorProto.FLOAT:
        step("Cast", to=entry.element)
    nodes.append(helper.make_node("Identity", [current], [entrance], name="vivavoce/input"))
    replace_nodes(graph, [*nodes, *graph.node])
    kept = [v for v in graph.input if v.name != entrance]
    del graph.input[:]
    shape = [entry.batch, entry.channels, entry.height, entry.width]
    graph.input.extend([helper.make_tensor_value_info("image", TensorProto.FLOAT, shape), *kept])


def _names(values: Sequence[onnx.ValueInfoProto]) -> str:
    return ", ".join(v.name for v in values)
