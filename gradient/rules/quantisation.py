"""Quantised models: a clipped straight-through estimator (Bengio et al. 2013; Jacob et al. 2018, section 3).

Rounding has derivative zero almost everywhere, so it is taken as the identity, and what was clipped at
the ends of the integer range gets no gradient. Gradients are those of the integers that the operators
compute, so scales appear where the formulas have them. Scales and zero points are taken as constants.
"""

from __future__ import annotations

import ml_dtypes
import numpy as np

from .. import layout
from ..value import Value
from .registry import Gradients, Node, rule

ESTIMATE = "rounding is taken as the identity (clipped straight-through)"


def _limits(dtype: np.dtype) -> tuple[float, float]:
    """Smallest and largest number of a quantised type."""
    info = ml_dtypes.iinfo(dtype) if dtype.kind in "iu" or "int" in dtype.name else ml_dtypes.finfo(dtype)
    return float(info.min), float(info.max)


def _along(values: np.ndarray, axis: int, rank: int) -> np.ndarray:
    """A number stays; one number per entry of an axis is shaped to broadcast along it."""
    values = np.asarray(values, np.float32)
    if values.ndim == 0 or values.size == 1:
        return values.reshape(())
    return values.reshape([-1 if k == axis % rank else 1 for k in range(rank)])


@rule("QuantizeLinear", estimated=ESTIMATE, integers=True)
def quantize_linear(node: Node, dy: Value) -> Gradients:
    """q = clip(round(x / s) + z); dx = dy / s where x / s + z is inside the range, else 0."""
    axis, x = node.integer("axis", 1), node.x
    scale = _along(node.array(1, "scale"), axis, x.rank)
    zero = _along(node.array(2, "zero point"), axis, x.rank) if node.has(2) else np.float32(0)
    low, high = _limits(node.y.dtype)
    bounds = [node.graph.constant(np.asarray((end - zero) * scale, np.float32)) for end in (low, high)]
    inside = layout.between(x, *bounds)
    return [inside.where(dy / node.graph.constant(scale), 0.0)]


@rule("DequantizeLinear", integers=True)
def dequantize_linear(node: Node, dy: Value) -> Gradients:
    """y = (q - z) s; dq = dy s."""
    scale = _along(node.array(1, "scale"), node.integer("axis", 1), node.x.rank)
    return [dy * node.graph.constant(scale)]


@rule("DynamicQuantizeLinear", estimated=ESTIMATE, every_output=True, integers=True)
def dynamic_quantize_linear(node: Node, dys: list[Value | None]) -> Gradients:
    """q = round(x / s) + z, with s and z from the range of x, so that nothing is clipped; dx = dq / s."""
    return [None if dys[0] is None else dys[0] / node.output(1)]


@rule("MatMulInteger", integers=True)
def matmul_integer(node: Node, dy: Value) -> Gradients:
    """Y = (A - za) (B - zb); dA = dY (B - zb)^T, dB = (A - za)^T dY."""
    a, b = _centred(node, 0, 2, -2), _centred(node, 1, 3, -1)
    return [(dy @ b.mT).sum_to(a.shape), (a.mT @ dy).sum_to(b.shape)]


def _centred(node: Node, k: int, zero: int, axis: int) -> Value:
    """An integer input minus its zero point, as float32."""
    value, array = node.input(k), node.input(k).array
    shift = node.array(zero, "zero point") if node.has(zero) and node.input(zero).array is not None else None
    if array is not None and (shift is not None or not node.has(zero)):
        offset = 0 if shift is None else _along(shift, axis, value.rank)
        return node.graph.constant(array.astype(np.float32) - offset)
    return value.cast() - node.input(zero).cast() if node.has(zero) else value.cast()
