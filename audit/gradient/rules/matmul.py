"""Matrix products."""

from __future__ import annotations

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
