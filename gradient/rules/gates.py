"""Activations of the form y = x g(x), which exporters write as several nodes.

Their derivative is one expression of x, y and g, which reads and writes fewer values than the product rule
and the rules of g do one after the other.
"""

from __future__ import annotations

import math

from .. import layout
from ..graph import Graph
from ..value import Value
from .registry import Node

MAKERS = ("Sigmoid", "HardSigmoid", "Add")
"""Operators that g can end with."""


def gated(node: Node) -> tuple[int, Value] | None:
    """For a product y = x g(u), u = k x: which input is x, and dy/dx = g + u g'(u); None for other products.

    g is a sigmoid (SiLU): u g' = k y (1 - g); or min(max(a u + 1/2, 0), 1) (HardSwish): g' = a where it is
    not cut off; or 1 + erf(u) (GELU without its half): g' = 2 / pi^(1/2) e^(-u^2).
    """
    graph = node.graph
    for place in range(2):
        x, gate = node.input(place), node.input(1 - place)
        maker = graph.producer.get(gate.name)
        if maker is None or x.shape != gate.shape or maker.op_type not in MAKERS:
            continue
        u = _error_function(graph, *maker.input) if maker.op_type == "Add" else graph.value(maker.input[0])
        if u is None:
            continue
        (root, ours), (other, theirs) = _multiple(graph, x), _multiple(graph, u)
        if root != other:
            continue
        if maker.op_type == "Add":
            return place, gate + u * (math.log(2 / math.sqrt(math.pi)) - u * u).map("Exp")
        if maker.op_type == "Sigmoid":
            rest = layout.activated(u, "Sigmoid", factor=-1.0) if layout.blockable(u) else 1 - gate
            return place, gate + node.y * (theirs / ours) * rest
        written = Node(graph, maker)
        if written.number("beta", 0.5) == 0.5:
            return place, hard_slope(u, gate, written.number("alpha", 0.2))
    return None


def hard_slope(u: Value, gate: Value, alpha: float) -> Value:
    """g + u g'(u) for g = min(max(a u + 1/2, 0), 1): g' = a where (2 a u)^2 < 1, else 0."""
    steep = -layout.HUGE * (2 * alpha) ** 2
    return gate + u * layout.activated(u * u, "Clip", (0.0, alpha), factor=steep, offset=layout.HUGE)


def _error_function(graph: Graph, one: str, two: str) -> Value | None:
    """u, if the two values are erf(u) and the number 1."""
    for name, other in ((one, two), (two, one)):
        maker = graph.producer.get(name)
        if maker is not None and maker.op_type == "Erf" and graph.value(other).uniform == 1:
            return graph.value(maker.input[0])
    return None


def _multiple(graph: Graph, value: Value) -> tuple[str, float]:
    """The value as a constant times another one: that one's name, and the constant."""
    factor = 1.0
    while (maker := graph.producer.get(value.name)) is not None and maker.op_type in ("Mul", "Div"):
        left, right = (graph.value(name) for name in maker.input)
        if maker.op_type == "Mul" and left.uniform is not None:
            left, right = right, left
        if not right.uniform or left.shape != value.shape:
            break
        factor *= right.uniform if maker.op_type == "Mul" else 1 / right.uniform
        value = left
    return value.name, factor
