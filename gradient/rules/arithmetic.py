"""Arithmetic with broadcasting, and smooth functions applied entry by entry.

Where an input was repeated to fit the others, its gradient is summed back over the repeats (`sum_to`).
"""

from __future__ import annotations

import math

import numpy as np

from ..errors import MissingRule
from ..value import Value
from .gates import gated
from .registry import Gradients, Node, rule


@rule("Add", "Sum")
def add(node: Node, dy: Value) -> Gradients:
    """y = a + b + ...; da = db = ... = dy."""
    return [dy.sum_to(node.input(k).shape) for k in range(len(node))]


@rule("Sub")
def sub(node: Node, dy: Value) -> Gradients:
    """y = a - b; da = dy, db = -dy."""
    return [dy.sum_to(node.input(0).shape), (-dy).sum_to(node.input(1).shape)]


@rule("Mul")
def mul(node: Node, dy: Value) -> Gradients:
    """y = a b; da = dy b, db = dy a; for y = x g(x) see `gated`."""
    gate = gated(node)
    if gate is not None:
        place, slope = gate
        return [dy * slope if k == place else None for k in range(2)]
    a, b = node.input(0), node.input(1)
    return [(dy * b).sum_to(a.shape), (dy * a).sum_to(b.shape)]


@rule("Div")
def div(node: Node, dy: Value) -> Gradients:
    """y = a / b; da = dy / b, db = -dy y / b."""
    a, b = node.input(0), node.input(1)
    da = dy / b
    return [da.sum_to(a.shape), (-da * node.y).sum_to(b.shape)]


@rule("Mean")
def mean(node: Node, dy: Value) -> Gradients:
    """Y = (a + b + ...) / n; da = db = ... = dy / n."""
    return [(dy * (1 / len(node))).sum_to(node.input(k).shape) for k in range(len(node))]


@rule("Pow")
def power(node: Node, dy: Value) -> Gradients:
    """y = a^p; da = dy p a^(p-1), dp = dy y ln a (for a > 0, else 0)."""
    a, p = node.input(0), node.input(1)
    if p.dtype != np.float32:
        p = node.graph.constant(p.array.astype(np.float32)) if p.array is not None else p.cast()
    exponent = p.uniform
    if exponent == 2:
        return [(dy * a * 2).sum_to(a.shape), None]
    if exponent is not None:
        slope = a.map("Pow", exponent - 1) if exponent != 1 else 1.0
        return [(dy * slope * exponent).sum_to(a.shape), None]
    da = dy * p * node.graph.emit("Pow", [a, p - 1], np.broadcast_shapes(a.shape, p.shape))
    positive = a.compare("Greater", 0.0)
    logarithm = positive.where(a, 1.0).map("Log")
    return [da.sum_to(a.shape), (dy * node.y * logarithm).sum_to(p.shape)]


@rule("Max", "Min")
def extreme(node: Node, dy: Value) -> Gradients:
    """y = max(a, b, ...); dy goes to the largest, in equal parts where several are."""
    picked = [node.y.compare("Equal", node.input(k)).cast() for k in range(len(node))]
    share = dy / sum(picked[1:], picked[0]) if len(picked) > 1 else dy
    return [(share * p).sum_to(node.input(k).shape) for k, p in enumerate(picked)]


@rule("Where")
def where(node: Node, dy: Value) -> Gradients:
    """y = a where c, else b; da = dy where c, db = dy where not c.

    For a straight-through estimate c is a number, and y = b + c (a - b): dc = dy (a - b).
    """
    condition, a, b = (node.input(k) for k in range(3))
    da, db = condition.where(dy, 0.0), condition.where(0.0, dy)
    dc = (dy * (a - b)).sum_to(condition.shape) if node.graph.straight_through else None
    return [dc, da.sum_to(a.shape), db.sum_to(b.shape)]


@rule("Mod")
def mod(node: Node, dy: Value) -> Gradients:
    """y = a - n b with n an integer that is constant almost everywhere; da = dy."""
    if node.graph.array(node.proto.input[1]) is None:
        raise MissingRule("its divisor is computed from the image")
    return [dy.sum_to(node.x.shape), None]


@rule("Neg")
def neg(node: Node, dy: Value) -> Gradients:
    """y = -x; dx = -dy."""
    return -dy


@rule("Abs")
def absolute(node: Node, dy: Value) -> Gradients:
    """y = |x|; dx = dy sign x."""
    return dy * node.x.map("Sign")


@rule("Exp")
def exp(node: Node, dy: Value) -> Gradients:
    """y = e^x; dx = dy y."""
    return dy * node.y


@rule("Log")
def log(node: Node, dy: Value) -> Gradients:
    """y = ln x; dx = dy / x."""
    return dy / node.x


@rule("Sqrt")
def sqrt(node: Node, dy: Value) -> Gradients:
    """y = x^(1/2); dx = dy / (2 y)."""
    return dy * 0.5 / node.y


@rule("Reciprocal")
def reciprocal(node: Node, dy: Value) -> Gradients:
    """y = 1 / x; dx = -dy y^2."""
    return -dy * node.y * node.y


@rule("Sin")
def sin(node: Node, dy: Value) -> Gradients:
    """y = sin x; dx = dy cos x."""
    return dy * node.x.map("Cos")


@rule("Cos")
def cos(node: Node, dy: Value) -> Gradients:
    """y = cos x; dx = -dy sin x."""
    return -dy * node.x.map("Sin")


@rule("Tan")
def tan(node: Node, dy: Value) -> Gradients:
    """y = tan x; dx = dy (1 + y^2)."""
    return dy * (1 + node.y * node.y)


@rule("Asin")
def asin(node: Node, dy: Value) -> Gradients:
    """y = arcsin x; dx = dy / (1 - x^2)^(1/2)."""
    return dy / (1 - node.x * node.x).map("Sqrt")


@rule("Acos")
def acos(node: Node, dy: Value) -> Gradients:
    """y = arccos x; dx = -dy / (1 - x^2)^(1/2)."""
    return -dy / (1 - node.x * node.x).map("Sqrt")


@rule("Atan")
def atan(node: Node, dy: Value) -> Gradients:
    """y = arctan x; dx = dy / (1 + x^2)."""
    return dy / (1 + node.x * node.x)


@rule("Sinh")
def sinh(node: Node, dy: Value) -> Gradients:
    """y = sinh x; dx = dy cosh x."""
    return dy * node.x.map("Cosh")


@rule("Cosh")
def cosh(node: Node, dy: Value) -> Gradients:
    """y = cosh x; dx = dy sinh x."""
    return dy * node.x.map("Sinh")


@rule("Asinh")
def asinh(node: Node, dy: Value) -> Gradients:
    """y = arsinh x; dx = dy / (x^2 + 1)^(1/2)."""
    return dy / (node.x * node.x + 1).map("Sqrt")


@rule("Acosh")
def acosh(node: Node, dy: Value) -> Gradients:
    """y = arcosh x; dx = dy / (x^2 - 1)^(1/2)."""
    return dy / (node.x * node.x - 1).map("Sqrt")


@rule("Atanh")
def atanh(node: Node, dy: Value) -> Gradients:
    """y = artanh x; dx = dy / (1 - x^2)."""
    return dy / (1 - node.x * node.x)


@rule("Erf")
def erf(node: Node, dy: Value) -> Gradients:
    """y = 2 pi^(-1/2) * integral of exp(-t^2) from 0 to x; dx = dy 2 pi^(-1/2) exp(-x^2)."""
    return dy * (2 / math.sqrt(math.pi)) * (-(node.x * node.x)).map("Exp")
