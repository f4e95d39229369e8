"""Operators that only move entries. Where y copies an entry, its gradient is moved, or added, back."""

from __future__ import annotations

import numpy as np

from ...artifacts.front import WHOLE
from .. import layout
from ..errors import MissingRule
from ..linear import contract, response, selection
from ..value import Value
from .registry import Gradients, Node, rule


@rule("Reshape", "Flatten", "Squeeze", "Unsqueeze")
def reshape(node: Node, dy: Value) -> Gradients:
    """The same entries in another shape; dx = dy in x's shape."""
    return [dy.reshape(*node.x.shape)]


@rule("Identity")
def identity(node: Node, dy: Value) -> Gradients:
    """y = x; dx = dy."""
    return dy


@rule("Dropout")
def dropout(node: Node, dy: Value) -> Gradients:
    """y = x at inference; dx = dy."""
    training = node.optional(2, "training mode")
    if training is not None and training.any():
        raise MissingRule("it is in training mode, and so random")
    return [dy]


@rule("Cast", "CastLike", integers=True)
def cast(node: Node, dy: Value) -> Gradients:
    """y = x in another type; dx = dy. To integers it is a step function, like Floor.

    Pixels that were rounded for a file that takes whole numbers pass: their steps are as fine as pixels are.
    """
    to_integer = node.x.dtype.kind == "f" and node.y.dtype.kind in "iub"
    if to_integer and not node.graph.straight_through and not node.proto.name.startswith(WHOLE):
        raise MissingRule("it rounds to integers, and the derivative of that is zero almost everywhere; "
                          "only a straight-through estimate is possible")  # fmt: skip
    return [dy]


@rule("Transpose")
def transpose(node: Node, dy: Value) -> Gradients:
    """Y has x's dimensions in the order perm; dx has dy's in the inverse order.

    Where columns become the last dimension, a product of matrices exchanges its factors instead, as
    (A B)^T = B^T A^T: what is left to move are whole rows.
    """
    perm = np.argsort(node.integers("perm", range(node.x.rank)[::-1])).tolist()
    maker, r = node.graph.producer.get(dy.name), dy.rank
    if maker is not None and maker.op_type == "MatMul" and perm[-1] == r - 2:
        left, right = (node.graph.value(name) for name in maker.input)
        if min(left.rank, right.rank) > 1:
            order = [*range(r - 2), r - 1, r - 2]
            return (right.mT @ left.mT).transpose(*(order[k] for k in perm))
    return dy.transpose(*perm)


@rule("Expand")
def expand(node: Node, dy: Value) -> Gradients:
    """Y repeats x; dx = dy summed over the repeats."""
    return [dy.sum_to(node.x.shape)]


@rule("Tile")
def tile(node: Node, dy: Value) -> Gradients:
    """y[r n + i] = x[i] along each axis; dx[i] = sum_r dy[r n + i]."""
    repeats = node.array(1, "repeats").tolist()
    pairs = [size for pair in zip(repeats, node.x.shape, strict=True) for size in pair]
    return [dy.reshape(*pairs).sum(range(0, len(pairs), 2), keepdims=False)]


@rule("Concat")
def concat(node: Node, dy: Value) -> Gradients:
    """Y joins a, b, ... along an axis; each gets its own piece of dy."""
    axis = node.integer("axis") % dy.rank
    ends = np.cumsum([node.input(k).shape[axis] for k in range(len(node))]).tolist()
    return [dy.slice(axis, start, end) for start, end in zip([0, *ends], ends, strict=False)]


@rule("Split", every_output=True)
def split(node: Node, dys: list[Value | None]) -> Gradients:
    """Y, z, ... are pieces of x along an axis; dx joins dy, dz, ..., zero where a piece went unused."""
    axis = node.integer("axis") % node.x.rank
    pieces = [node.graph.zeros(*node.output(k).shape) if dy is None else dy for k, dy in enumerate(dys)]
    return [node.graph.concat(pieces, axis)]


@rule("Slice")
def slice_(node: Node, dy: Value) -> Gradients:
    """y[i] = x[start + i step] along some axes; dx[start + i step] = dy[i], 0 elsewhere."""
    starts, ends = node.array(1, "starts").tolist(), node.array(2, "ends").tolist()
    axes, steps = node.optional(3, "axes"), node.optional(4, "steps")
    axes = range(len(starts)) if axes is None else axes.tolist()
    steps = [1] * len(starts) if steps is None else steps.tolist()
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        taken = range(node.x.shape[axis])[start:end:step]
        dy = _spread(dy, axis % dy.rank, taken, node.x.shape[axis])
    return [dy]


def _spread(dy: Value, axis: int, taken: range, size: int) -> Value:
    """Zeros of the given size along an axis, with dy at the places `taken`."""
    if abs(taken.step) != 1:
        return contract(dy, axis, selection(np.array(taken, np.int64), size))
    if taken.step == -1:
        bounds = [dy.graph.integers([k]) for k in (-1, np.iinfo(np.int64).min, axis, -1)]
        dy, taken = dy.graph.emit("Slice", [dy, *bounds], dy.shape), taken[::-1]
    before, after = [0] * dy.rank, [0] * dy.rank
    before[axis], after[axis] = taken.start, size - taken.stop
    return dy.pad(before, after)


@rule("Pad")
def pad(node: Node, dy: Value) -> Gradients:
    """Y is x with a border; dx = dy without it, plus what the border copied (reflect, edge, wrap)."""
    amounts, axes = node.array(1, "pads").tolist(), node.optional(3, "axes")
    axes = range(node.x.rank) if axes is None else [int(axis) % node.x.rank for axis in axes]
    mode = node.text("mode", "constant")
    for k, axis in enumerate(axes):
        before, after, size = amounts[k], amounts[k + len(axes)], node.x.shape[axis]
        if mode == "constant":
            inner = dy.slice(axis, max(before, 0), dy.shape[axis] - max(after, 0))
            dy = _spread(inner, axis, range(max(-before, 0), size - max(-after, 0)), size)
            continue
        if min(before, after) < 0:
            raise MissingRule(f"it cuts in mode {mode}")
        source = np.pad(np.arange(size), (before, after), mode=mode)  # type: ignore[call-overload]
        dy = contract(dy, axis, selection(source, size))
    return [dy]


@rule("DepthToSpace", "SpaceToDepth")
def depth_space(node: Node, dy: Value) -> Gradients:
    """Channels are moved to places of a block, or back; dx is moved the other way."""
    b = node.integer("blocksize")
    if node.proto.op_type == "SpaceToDepth":
        return node.graph.emit("DepthToSpace", [dy], node.x.shape, blocksize=b, mode="DCR")
    if node.text("mode", "DCR") == "DCR":
        return node.graph.emit("SpaceToDepth", [dy], node.x.shape, blocksize=b)
    n, c, h, w = dy.shape
    blocks = dy.reshape(n, c, h // b, b, w // b, b).transpose(0, 1, 3, 5, 2, 4)
    return blocks.reshape(*node.x.shape)


@rule("Resize")
def resize(node: Node, dy: Value) -> Gradients:
    """Interpolation, in any mode: along each axis y = M x, so dx = M^T dy (see `linear`).

    A single pixel is repeated over the whole image.
    """
    kept = node.text("coordinate_transformation_mode") != "tf_crop_and_resize"
    if kept and node.x.shape == (*dy.shape[:2], 1, 1):
        return layout.total(dy)
    axes = node.integers("axes") or range(node.x.rank)
    attributes = node.attributes() | {"extrapolation_value": 0.0}
    for name in ("axes", "keep_aspect_ratio_policy"):
        attributes.pop(name, None)
    scales, region = node.optional(2, "scales"), node.optional(1, "roi")
    for k, axis in enumerate(axes):
        axis, whole = int(axis) % node.x.rank, len(list(axes))
        n, m = node.x.shape[axis], dy.shape[axis]
        if n == m and attributes.get("coordinate_transformation_mode") != b"tf_crop_and_resize":
            continue
        box = None
        if region is not None and region.size:
            box = np.array([0, 0, region[k], 0, 1, 1, region[k + whole], 1], np.float32)
        if scales is not None and scales.size:
            inputs = [box, np.array([1, 1, scales[k], 1], np.float32)]
        else:
            inputs = [box, None, np.array([n, 1, m, 1], np.int64)]
        dy = contract(dy, axis, response("Resize", n, inputs, node.graph.opset, **attributes))
    return [dy]


@rule("Trilu")
def trilu(node: Node, dy: Value) -> Gradients:
    """Y is the upper or lower triangle of x; dx is that of dy."""
    inputs = [dy, node.input(1)] if node.has(1) else [dy]
    return [node.graph.emit("Trilu", inputs, dy.shape, upper=node.integer("upper", 1))]


@rule("CumSum")
def cumsum(node: Node, dy: Value) -> Gradients:
    """y_i = sum of x_j over j <= i; dx_j = sum of dy_i over i >= j: the same from the other end."""
    inputs = [dy, node.input(1)]
    exclusive, reverse = node.integer("exclusive"), 1 - node.integer("reverse")
    return [node.graph.emit("CumSum", inputs, dy.shape, exclusive=exclusive, reverse=reverse)]
