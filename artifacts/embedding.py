"""Outputs that are embeddings, not class scores: their largest entry is no decision."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import numpy_helper

from .graph import tensors
from .head import STANDARD

PASSING = {"Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Dropout", "QuantizeLinear",
           "DequantizeLinear"}  # fmt: skip
"""Operators that keep the entries and their order."""
ROOTS = {*PASSING, "Sqrt", "Reciprocal", "Pow", "Add", "Max", "Clip", "Expand", "Div", "Where"}
"""Operators that stand between a sum of squares and the norm that the entries are divided by."""


def ends_in_l2_norm(model: onnx.ModelProto, output: str) -> bool:
    """Whether the entries of an output are divided by their own L2 norm.

    LpNormalization with p = 2 counts, and so does a division by ReduceL2, or by the root of ReduceSumSquare
    or of a ReduceSum of squares, however it is written; then at most scaled by a constant. A product with
    class weights after it, as in a cosine classifier, makes scores.
    """
    maker = {name: node for node in model.graph.node for name in node.output}
    held = tensors(model.graph)
    name = output
    while (node := maker.get(name)) is not None and node.domain in STANDARD:
        if node.op_type == "LpNormalization":
            return next((a.i for a in node.attribute if a.name == "p"), 2) == 2
        if node.op_type in ("Mul", "Div"):
            operands = [n for n in node.input if n not in held]
            if len(operands) == 2:
                return any(_is_norm(maker, held, d, n) for d, n in (operands, operands[::-1]))
            if len(operands) != 1 or (node.input[0] in held and node.op_type == "Div"):
                return False
            name = operands[0]
        elif node.op_type in PASSING:
            name = node.input[0]
        else:
            return False
    return False


def _is_norm(
    maker: Mapping[str, onnx.NodeProto], held: Mapping[str, onnx.TensorProto], divided: str, norm: str
) -> bool:
    """Whether a value is made of the L2 norm of another, by roots, reciprocals, bounds and small offsets."""
    node = maker.get(norm)
    while node is not None and node.domain in STANDARD and node.op_type in ROOTS:
        made = [name for name in node.input if name in maker and name not in held]
        node = maker.get(made[0]) if made else None
    if node is None or node.domain not in STANDARD:
        return False
    if node.op_type in ("ReduceL2", "ReduceSumSquare"):
        return _origin(maker, node.input[0]) == _origin(maker, divided)
    if node.op_type != "ReduceSum":
        return False
    square = maker.get(_origin(maker, node.input[0]))
    if square is None:
        return False
    base, other = (*square.input, "", "")[:2]
    two = other in held and bool(np.all(numpy_helper.to_array(held[other]) == 2))
    squares = (square.op_type == "Pow" and two) or (square.op_type == "Mul" and base == other)
    return squares and _origin(maker, base) == _origin(maker, divided)


def _origin(maker: Mapping[str, onnx.NodeProto], name: str) -> str:
    """The value whose entries a value has, but for signs."""
    while (node := maker.get(name)) is not None and node.op_type in (*PASSING, "Abs"):
        name = node.input[0]
    return name
