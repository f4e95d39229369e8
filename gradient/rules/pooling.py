"""Pooling over windows of 1 to 3 spatial dimensions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import layout
from ..graph import INT
from ..linear import contract, response
from ..value import Value
from .registry import Gradients, Node, rule


def _tiles(node: Node) -> list[int] | None:
    """The kernel, if its windows tile the image exactly: no overlap, no gap, no padding; else None."""
    kernel = node.integers("kernel_shape")
    strides = node.integers("strides", [1] * len(kernel))
    plain = not any(node.integers("pads")) and all(d == 1 for d in node.integers("dilations"))
    sizes = [o * k for o, k in zip(node.y.shape[2:], kernel, strict=True)]
    return kernel if plain and kernel == strides and sizes == list(node.x.shape[2:]) else None


@rule("GlobalAveragePool")
def global_average_pool(node: Node, dy: Value) -> Gradients:
    """Y = mean of x over the n places of a channel; dx = dy / n everywhere."""
    sizes = node.x.shape[2:]
    if layout.blockable(dy):
        return layout.enlarge(layout.scale(dy, 1 / math.prod(sizes)), sizes)
    return layout.anchor(dy.expand(*node.x.shape), 1 / math.prod(sizes))


@rule("AveragePool")
def average_pool(node: Node, dy: Value) -> Gradients:
    """Y = mean over each window: along each axis y = M x, so dx = M^T dy (see `linear`).

    Windows that tile the image: dx = dy / n, repeated over each window.
    """
    kernel = _tiles(node)
    if kernel:
        return layout.anchor(layout.enlarge(dy, kernel), 1 / math.prod(kernel))
    for k in range(len(node.integers("kernel_shape"))):
        dy = contract(dy, k + 2, _window_matrix(node, "AveragePool", k))
    return dy


def _window_matrix(node: Node, operator: str, k: int) -> np.ndarray:
    """M [m, n] of a pooling operator along spatial dimension k."""
    dims = len(node.integers("kernel_shape"))
    attributes = node.attributes()
    for name in ("kernel_shape", "strides", "dilations"):
        if name in attributes:
            attributes[name] = [node.integers(name)[k], 1]
    if "pads" in attributes:
        attributes["pads"] = [node.integers("pads")[k], 0, node.integers("pads")[k + dims], 0]
    return response(operator, node.x.shape[k + 2], [], node.graph.opset, **attributes)


@rule("MaxPool")
def max_pool(node: Node, dy: Value) -> Gradients:
    """Y = largest entry of each window; dy is added to the place it came from.

    Windows that tile the image: where x equals its window's y, in equal parts if several do. Others:
    the place that onnxruntime's second output names, the first of several.
    """
    kernel = _tiles(node)
    if kernel and node.x.rank == 4:
        return _tiled_max(node, dy, kernel)
    attributes: dict[str, Any] = node.attributes() | {"storage_order": 0}
    outputs = [(node.y.shape, node.y.dtype), (node.y.shape, INT)]
    places = node.graph.emit_many("MaxPool", [node.x], outputs, **attributes)[1]
    zeros = (node.x - node.x).reshape(node.x.size)
    places, dy = places.reshape(dy.size), dy.reshape(dy.size)
    flat = node.graph.emit("ScatterElements", [zeros, places, dy], zeros.shape, reduction="add", axis=0)
    return flat.reshape(*node.x.shape)


def _tiled_max(node: Node, dy: Value, kernel: list[int]) -> Value:
    """The mask of the largest entries, times dy over the number of them in its window."""
    x = node.x
    largest = layout.enlarge(node.y, kernel)
    mask = layout.equal(x, largest)
    share = dy.graph.emit("AveragePool", [mask], dy.shape, kernel_shape=kernel, strides=kernel)
    return layout.enlarge(dy * (1 / math.prod(kernel)) / share, kernel) * mask


@rule("GlobalMaxPool")
def global_max_pool(node: Node, dy: Value) -> Gradients:
    """Y = largest entry of a channel; dy goes to it, in equal parts where several are."""
    mask = node.x.compare("Equal", node.y).cast()
    return dy / mask.sum(range(2, node.x.rank)) * mask


@rule("LpPool")
def lp_pool(node: Node, dy: Value) -> Gradients:
    """Y = (sum_j |x_j|^p)^(1/p) over each window; dx = sign x |x|^(p-1) sum over windows of dy y^(1-p)."""
    p, x, y = node.integer("p", 2), node.x, node.y
    dy = y.compare("Equal", 0.0).where(0.0, dy * y.map("Pow", 1.0 - p))
    for k in range(len(node.integers("kernel_shape"))):
        ones = _window_matrix(node, "LpPool", k) != 0
        dy = contract(dy, k + 2, ones.astype(np.float32))
    return dy * x.map("Sign") * (x.map("Abs").map("Pow", p - 1.0) if p != 1 else 1.0)


@rule("GlobalLpPool")
def global_lp_pool(node: Node, dy: Value) -> Gradients:
    """Y = (sum_j |x_j|^p)^(1/p) over a channel; dx = dy sign x (|x| / y)^(p-1)."""
    p, x, y = node.integer("p", 2), node.x, node.y
    size = x.map("Abs") / y.compare("Equal", 0.0).where(1.0, y)
    return dy * x.map("Sign") * (size.map("Pow", p - 1.0) if p != 1 else 1.0)
