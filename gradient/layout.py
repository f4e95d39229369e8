"""What keeps gradients in onnxruntime's blocked layout.

Its CPU kernels run convolutions fastest on values whose channels are grouped in blocks (NCHWc). Only
convolutions pull a value into that layout; additions, products and clipping then follow, everything
else falls out of it, at the price of two reorderings. So masks and scalings are written as depthwise
1x1 convolutions where the channels allow it, and strided windows are undone with their channels last,
which its reorderings give and take. On other providers (`graph.blocked` false) these functions emit the
plain operators.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx

from .graph import BLOCK, MICROSOFT, Graph
from .value import Value

HUGE = 1e30
"""Times this, a value that is not zero is far beyond 1."""


def blockable(value: Value) -> bool:
    """Whether a value can be held in the blocked layout."""
    return value.graph.blocked and value.rank == 4 and value.shape[1] % BLOCK == 0


def scale(value: Value, factor: float | np.ndarray, offset: float | None = None) -> Value:
    """Give factor * value + offset as a depthwise 1x1 convolution; factor: one number or one per channel."""
    channels = value.shape[1]
    inputs = [value, _per_channel(value, factor)]
    if offset is not None:
        inputs.append(value.graph.constant(np.full(channels, offset, np.float32)))
    return value.graph.emit("Conv", inputs, value.shape, group=channels, kernel_shape=[1, 1])


def _per_channel(value: Value, factor: float | np.ndarray) -> Value:
    """The weight of a depthwise 1x1 convolution."""
    channels = value.shape[1]
    weight = np.broadcast_to(np.asarray(factor, np.float32), (channels,)).reshape(channels, 1, 1, 1)
    return value.graph.constant(weight)


def anchor(value: Value, factor: float = 1.0) -> Value:
    """Give factor * value, put (back) into the blocked layout."""
    return scale(value, factor) if blockable(value) else value * factor


def step(value: Value, low: float = 0.0) -> Value:
    """1 where value > 0, else `low` (0 <= low < 1): the derivative of Relu and LeakyRelu.

    For the blocked layout written as clip(1e30 value, low, 1): exact but for |value| < 1e-30. One mask per
    value, made as soon as the value is there: nothing behind it then keeps the value from being overwritten,
    as a residual sum does with its shortcut where it may. onnxruntime keeps that order if it finds the two
    nodes fused.
    """
    graph = value.graph
    key = ("step", value.name, low)
    if key not in graph.memo:
        if blockable(value):
            graph.memo[key] = graph.emit(
                "FusedConv", [value, _per_channel(value, HUGE)], value.shape, domain=MICROSOFT, early=True,
                group=value.shape[1], kernel_shape=[1, 1], activation="Clip", activation_params=[low, 1.0],
            )  # fmt: skip
        else:
            mask = value.compare("Greater", 0.0)
            graph.memo[key] = mask.where(1.0, low) if low else mask.cast()
    return graph.memo[key]


def activated(
    value: Value, kind: str, parameters: Sequence[float] = (), factor: float = 1.0, offset: float = 0.0
) -> Value:
    """Apply an activation to factor * value + offset.

    Args:
        value: [N, C, H, W].
        kind: `Sigmoid`, `HardSigmoid` with (alpha, beta), or `Clip` with (lowest, highest).
        parameters: of the activation.
        factor: of the value.
        offset: is added.
    """
    graph, channels = value.graph, value.shape[1]
    if blockable(value):
        bias = graph.constant(np.full(channels, offset, np.float32))
        given: dict[str, Any] = {"activation_params": list(parameters)} if parameters else {}
        return graph.emit(
            "FusedConv", [value, _per_channel(value, factor), bias], value.shape, domain=MICROSOFT,
            group=channels, kernel_shape=[1, 1], activation=kind, **given,
        )  # fmt: skip
    moved = value * factor + offset if offset else value * factor
    if kind == "Clip":
        return moved.map(kind, *parameters)
    return moved.map(kind, **dict(zip(("alpha", "beta"), parameters, strict=False)))


def enlarge(value: Value, kernel: Sequence[int], early: bool = False) -> Value:
    """Repeat every pixel over a tile (nearest-neighbour resizing, which the blocked layout has)."""
    shape = [*value.shape[:2], *(o * k for o, k in zip(value.shape[2:], kernel, strict=True))]
    if math.prod(value.shape[2:]) == 1 and not blockable(value):
        return value.expand(*shape)
    scales = value.graph.constant(np.array([1, 1, *kernel], np.float32))
    return value.graph.emit(
        "Resize", [value, None, scales], shape, mode="nearest", nearest_mode="floor",
        coordinate_transformation_mode="asymmetric", early=early,
    )  # fmt: skip


def total(value: Value) -> Value:
    """Sum over the pixels: [N, C, H, W] -> [N, C, 1, 1]."""
    if not blockable(value):
        return value.sum([2, 3])
    mean = value.graph.emit("GlobalAveragePool", [value], (*value.shape[:2], 1, 1))
    return mean * math.prod(value.shape[2:])


def enlarge_gates(graph: Graph) -> None:
    """Let the model's products with one number per image and channel stay in the layout.

    y = a s becomes y = a enlarge(s), which is the same to the bit.
    """
    for node in list(graph.nodes):
        if node.op_type != "Mul" or node.domain or not all(map(graph.described, node.input)):
            continue
        factors = [graph.value(name) for name in node.input]
        for k, (gate, other) in enumerate((factors, factors[::-1])):
            single = gate.shape == (*other.shape[:2], 1, 1) != other.shape
            if single and blockable(other) and gate.array is None:
                changed = onnx.NodeProto()
                changed.CopyFrom(node)
                changed.input[k] = enlarge(gate, other.shape[2:], early=True).name
                graph.replace(node, changed)


def interleave(phases: Value, rows: int, columns: int) -> Value:
    """Spread channels over pixels: [N, rows * columns * C, H, W] -> [N, C, rows * H, columns * W].

    The pixel (rows h + r, columns w + k) comes from channel block (r, k) at (h, w). Of blockable values.
    """
    n, wide, height, width = phases.shape
    channels = wide // (rows * columns)
    last = phases.transpose(0, 2, 3, 1).reshape(n * height, width, rows, columns * channels)
    spread = last.transpose(0, 2, 1, 3).reshape(n, height * rows, width * columns, channels)
    result = anchor(spread.transpose(0, 3, 1, 2))
    result.graph.memo["phases", result.name] = phases
    return result


def add(value: Value, other: Value) -> Value:
    """The sum; two interleaved values are added before, where a convolution can do it on the way."""
    ours, theirs = (v.graph.memo.get(("phases", v.name)) for v in (value, other))
    if ours is None or theirs is None or ours.shape != theirs.shape:
        return value + other
    rows, columns = (size // read for size, read in zip(value.shape[2:], ours.shape[2:], strict=True))
    return interleave(ours + theirs, rows, columns)


def inside(value: Value, low: float, high: float) -> Value:
    """Whether low < value < high, bool."""
    above, below = value.compare("Greater", low), value.compare("Less", high)
    return value.graph.emit("And", [above, below], value.shape, np.dtype(bool))


def equal(value: Value, other: Value) -> Value:
    """1 where value = other, else 0, for other >= value: max(1 + 1e30 (value - other), 0)."""
    if not blockable(value):
        return value.compare("Equal", other).cast()
    difference = value + scale(other, -1.0)
    return scale(difference, HUGE, 1.0).map("Relu")


def between(value: Value, low: Value, high: Value) -> Value:
    """Whether low <= value <= high, bool."""
    above, below = value.compare("GreaterOrEqual", low), value.compare("LessOrEqual", high)
    return value.graph.emit("And", [above, below], value.shape, np.dtype(bool))
