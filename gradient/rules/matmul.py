"""Matrix products."""

from __future__ import annotations

import string

from ..errors import MissingRule
from ..value import Value
from .registry import Gradients, Node, rule


@rule("Gemm")
def gemm(node: Node, dy: Value) -> Gradients:
    """y = a A B + b C, where A, B may be stored transposed; dA = a dy B^T, dB = a A^T dy, dC = b dy."""
    a, b = node.input(0), node.input(1)
    left = a.mT if node.integer("transA") else a
    right = b.mT if node.integer("transB") else b
    dy_alpha = dy * node.number("alpha", 1.0)
    da, db = dy_alpha @ right.mT, left.mT @ dy_alpha
    gradients: list[Value | None] = [da.mT if node.integer("transA") else da]
    gradients.append(db.mT if node.integer("transB") else db)
    if node.has(2):
        gradients.append((dy * node.number("beta", 1.0)).sum_to(node.input(2).shape))
    return gradients


@rule("MatMul")
def matmul(node: Node, dy: Value) -> Gradients:
    """Y = A B; dA = dY B^T, dB = A^T dY, summed over the batch dimensions along which one was repeated.

    A vector counts as a matrix of one row (left) or one column (right), as in numpy.
    """
    a, b = node.input(0), node.input(1)
    left = a if a.rank > 1 else a.reshape(1, *a.shape)
    right = b if b.rank > 1 else b.reshape(*b.shape, 1)
    shape = list(dy.shape)
    if b.rank == 1:
        shape.append(1)
    if a.rank == 1:
        shape.insert(len(shape) - 1, 1)
    dy = dy.reshape(*shape)
    da, db = dy @ right.mT, left.mT @ dy
    return [da.sum_to(left.shape).reshape(*a.shape), db.sum_to(right.shape).reshape(*b.shape)]


@rule("Einsum")
def einsum(node: Node, dy: Value) -> Gradients:
    """Y sums products over the letters it lacks; da is the einsum of dy and the other factors, onto a's.

    A letter that only a has was summed over a alone: da is repeated along it.
    """
    values = [node.input(k) for k in range(len(node))]
    terms, result = _letters(node.text("equation"), [v.rank for v in values])
    gradients: list[Value | None] = []
    for k, own in enumerate(terms):
        others = [*terms[:k], *terms[k + 1 :]]
        if len(set(own)) < len(own):
            raise MissingRule("a letter appears twice in one factor")
        known = set(result).union(*others)
        kept = "".join(letter for letter in own if letter in known)
        sizes = dict(zip(own, values[k].shape, strict=True))
        equation = ",".join([result, *others]) + "->" + kept
        inputs = [dy, *values[:k], *values[k + 1 :]]
        found = node.graph.emit("Einsum", inputs, [sizes[c] for c in kept], equation=equation)
        found = found.reshape(*(sizes[c] if c in kept else 1 for c in own))
        gradients.append(found.expand(*values[k].shape))
    return gradients


def _letters(equation: str, ranks: list[int]) -> tuple[list[str], str]:
    """Factors and result of an equation, dots written out as letters and the result made explicit."""
    left, arrow, result = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    named = sorted(set(left) - set(".,"))
    spare = [c for c in string.ascii_letters if c not in named]
    dots = [rank - len(t.replace("...", "")) for t, rank in zip(terms, ranks, strict=True) if "..." in t]
    if len(set(dots)) > 1:
        raise MissingRule("the dots of its factors stand for different numbers of dimensions")
    broadcast = "".join(spare[: dots[0]]) if dots else ""
    if not arrow:
        result = ("..." if dots else "") + "".join(c for c in named if left.count(c) == 1)
    return [t.replace("...", broadcast) for t in terms], result.replace("...", broadcast)
