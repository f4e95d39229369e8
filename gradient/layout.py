"""What keeps gradients in onnxruntime's blocked layout.

Its CPU kernels run convolutions fastest on values whose channels are grouped in blocks (NCHWc). Only
convolutions pull a value into that layout; additions, products and clipping then follow, everything
else falls out of it, at the price of two reorderings. So masks and scalings are written as depthwise
1x1 convolutions where the channels allow it, and strided windows are undone with their channels last,
which its reorderings give and take. On other providers (`graph.blocked` false) these functions emit the
plain operators.
"""

from __future__ import annotations

import numpy as np

from .graph import BLOCK, MICROSOFT
from .value import Value

_HUGE = 1e30


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
                "FusedConv", [value, _per_channel(value, _HUGE)], value.shape, domain=MICROSOFT, early=True,
                group=value.shape[1], kernel_shape=[1, 1], activation="Clip", activation_params=[low, 1.0],
            )  # fmt: skip
        else:
            mask = value.compare("Greater", 0.0)
            graph.memo[key] = mask.where(1.0, low) if low else mask.cast()
    return graph.memo[key]


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
    return scale(difference, _HUGE, 1.0).map("Relu")


def between(value: Value, low: Value, high: Value) -> Value:
    """Whether low <= value <= high, bool."""
    above, below = value.compare("GreaterOrEqual", low), value.compare("LessOrEqual", high)
    return value.graph.emit("And", [above, below], value.shape, np.dtype(bool))
