"""Gathering and scattering. Indices have no gradient: they choose, they are not calculated with."""

from __future__ import annotations

import numpy as np

from ..errors import MissingRule
from ..graph import INT
from ..linear import contract, selection
from ..value import Value
from .registry import Gradients, Node, rule

_SMALL = 1 << 20
"""Entries of a selection matrix up to which a product with it is preferred to scattering."""


@rule("Gather")
def gather(node: Node, dy: Value) -> Gradients:
    """Y = x[.., i, ..] for each index i along an axis; dx[.., i, ..] = sum of dy over the uses of i."""
    x, indices = node.x, node.input(1)
    axis = node.integer("axis") % x.rank
    count, size = indices.size, x.shape[axis]
    dy = dy.reshape(*x.shape[:axis], count, *x.shape[axis + 1 :])
    if indices.array is not None and count == 1:
        place = int(indices.array.flat[0]) % size
        before, after = [0] * x.rank, [0] * x.rank
        before[axis], after[axis] = place, size - 1 - place
        return [dy.pad(before, after)]
    if indices.array is not None and count * size <= _SMALL:
        return [contract(dy, axis, selection(indices.array.reshape(-1), size))]
    perm = [axis, *(k for k in range(x.rank) if k != axis)]
    rows = dy.transpose(*perm)
    zeros = node.graph.zeros(size, *rows.shape[1:])
    places = node.graph.emit("Reshape", [indices, node.graph.integers([count, 1])], [count, 1], INT)
    return [_scatter_nd(zeros, places, rows, "add").transpose(*np.argsort(perm).tolist())]


def _scatter_nd(data: Value, indices: Value, updates: Value, reduction: str) -> Value:
    return data.graph.emit("ScatterND", [data, indices, updates], data.shape, reduction=reduction)


@rule("GatherElements")
def gather_elements(node: Node, dy: Value) -> Gradients:
    """y[i, j] = x[index[i, j], j] (axis 0); dx[index[i, j], j] = sum of dy[i, j]."""
    zeros = node.graph.zeros(*node.x.shape)
    axis = node.integer("axis")
    return [
        node.graph.emit(
            "ScatterElements", [zeros, node.input(1), dy], zeros.shape, axis=axis, reduction="add"
        )
    ]


@rule("GatherND")
def gather_nd(node: Node, dy: Value) -> Gradients:
    """y[i] = x[index[i]] with index[i] a tuple; dx[index[i]] = sum of dy[i]."""
    indices = _with_batch(node.input(1), node.integer("batch_dims"))
    return [_scatter_nd(node.graph.zeros(*node.x.shape), indices, dy, "add")]


def _with_batch(indices: Value, dims: int) -> Value:
    """Write out the leading `dims` coordinates that each tuple of indices leaves unsaid."""
    if not dims:
        return indices
    shape = indices.shape[:-1]
    grid = np.stack(list(np.indices(shape)[:dims]), axis=-1).astype(np.int64)
    return indices.graph.concat([indices.graph.constant(grid), indices], len(shape))


@rule("ScatterND")
def scatter_nd(node: Node, dy: Value) -> Gradients:
    """Y = x with y[index[i]] = u[i] (or += u[i]); dx = dy, 0 where replaced; du[i] = dy[index[i]]."""
    reduction, (indices, updates) = _reduction(node), (node.input(1), node.input(2))
    dx = dy if reduction == "add" else _scatter_nd(dy, indices, node.graph.zeros(*updates.shape), "none")
    return [dx, None, node.graph.emit("GatherND", [dy, indices], updates.shape)]


@rule("ScatterElements", "Scatter")
def scatter_elements(node: Node, dy: Value) -> Gradients:
    """Y = x with y[index[i, j], j] = u[i, j] (or +=); dx = dy, 0 where replaced; du = dy at the indices."""
    graph, axis, indices = node.graph, node.integer("axis"), node.input(1)
    dx = dy
    if _reduction(node) == "none":
        dx = graph.emit("ScatterElements", [dy, indices, graph.zeros(*indices.shape)], dy.shape, axis=axis)
    return [dx, None, graph.emit("GatherElements", [dy, indices], indices.shape, axis=axis)]


def _reduction(node: Node) -> str:
    reduction = node.text("reduction", "none")
    if reduction not in ("none", "add"):
        raise MissingRule(f"reduction {reduction} has no rule")
    return reduction


@rule("TopK")
def top_k(node: Node, dy: Value) -> Gradients:
    """Y = the k largest (smallest) entries along an axis; dy goes back to where they stood."""
    axis = node.integer("axis", -1)
    if len(node.proto.output) < 2 or not node.proto.output[1]:
        raise MissingRule("its indices are not an output")
    zeros = node.graph.zeros(*node.x.shape)
    inputs = [zeros, node.output(1), dy]
    return [node.graph.emit("ScatterElements", inputs, zeros.shape, axis=axis, reduction="add"), None]
