"""Reductions over axes. In the formulas, j runs over the entries that one entry of y was made from.

dy and y are first given back the reduced axes, with size 1, so that they broadcast against x.
"""

from __future__ import annotations

import math

from ..value import Value
from .registry import Gradients, Node, rule


def _axes(node: Node) -> list[int]:
    """The reduced axes, from the input or the attribute; all of them when none are given."""
    given = node.optional(1, "axes")
    axes = node.integers("axes") if given is None else given.tolist()
    if not axes and node.integer("noop_with_empty_axes"):
        return []
    return sorted(axis % node.x.rank for axis in axes) or list(range(node.x.rank))


def _kept(node: Node, value: Value) -> Value:
    """A value of y's shape with the reduced axes put back as size 1."""
    axes = _axes(node)
    return value.reshape(*(1 if k in axes else size for k, size in enumerate(node.x.shape)))


@rule("ReduceSum")
def reduce_sum(node: Node, dy: Value) -> Gradients:
    """y = sum_j x_j; dx = dy."""
    return [_kept(node, dy).expand(*node.x.shape)]


@rule("ReduceMean")
def reduce_mean(node: Node, dy: Value) -> Gradients:
    """y = sum_j x_j / n; dx = dy / n."""
    n = math.prod(node.x.shape[axis] for axis in _axes(node))
    return [(_kept(node, dy) * (1 / n)).expand(*node.x.shape)]


@rule("ReduceMax", "ReduceMin")
def reduce_extreme(node: Node, dy: Value) -> Gradients:
    """y = max_j x_j; dy goes to the largest x_j, in equal parts where several are."""
    picked = node.x.compare("Equal", _kept(node, node.y)).cast()
    return [_kept(node, dy) / picked.sum(_axes(node)) * picked]


@rule("ReduceProd")
def reduce_prod(node: Node, dy: Value) -> Gradients:
    """y = prod_j x_j; dx_i = dy prod_(j != i) x_j.

    y / x_i where x_i is not 0. Where it is, the product of the others: 0 when another is 0 too.
    """
    x, axes = node.x, _axes(node)
    zero = x.compare("Equal", 0.0)
    filled = zero.where(1.0, x)
    others = filled.reduce("ReduceProd", axes) / filled
    zeros = zero.cast().sum(axes) - zero.cast()
    return [zeros.compare("Equal", 0.0).where(_kept(node, dy) * others, 0.0)]


@rule("ReduceL1")
def reduce_l1(node: Node, dy: Value) -> Gradients:
    """y = sum_j |x_j|; dx = dy sign x."""
    return [_kept(node, dy) * node.x.map("Sign")]


@rule("ReduceL2")
def reduce_l2(node: Node, dy: Value) -> Gradients:
    """y = (sum_j x_j^2)^(1/2); dx = dy x / y, and 0 where y = 0."""
    y = _kept(node, node.y)
    return [_kept(node, dy) / y.compare("Equal", 0.0).where(1.0, y) * node.x]


@rule("ReduceSumSquare")
def reduce_sum_square(node: Node, dy: Value) -> Gradients:
    """y = sum_j x_j^2; dx = 2 dy x."""
    return [_kept(node, dy) * 2 * node.x]


@rule("ReduceLogSum")
def reduce_log_sum(node: Node, dy: Value) -> Gradients:
    """y = ln sum_j x_j; dx = dy / e^y."""
    return [(_kept(node, dy) / _kept(node, node.y).map("Exp")).expand(*node.x.shape)]


@rule("ReduceLogSumExp")
def reduce_log_sum_exp(node: Node, dy: Value) -> Gradients:
    """y = ln sum_j e^(x_j); dx = dy e^(x - y)."""
    return [_kept(node, dy) * (node.x - _kept(node, node.y)).map("Exp")]
