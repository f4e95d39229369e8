"""Operators that are linear along each axis by itself: resizing, pooling means, padding, gathering.

Such an operator is y = M x along an axis, with a matrix M [m, n] that depends on sizes only. Its gradient
is dx = M^T dy along that axis, whatever the operator's many modes: M is read off by running the operator
once on the rows of an identity matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ..artifacts.runtime import make_session
from .value import Value


def contract(value: Value, axis: int, matrix: np.ndarray) -> Value:
    """Multiply along one axis: [.., m, ..] with M [m, n] -> [.., n, ..]."""
    if matrix.shape[0] == matrix.shape[1] and np.array_equal(matrix, np.eye(len(matrix))):
        return value
    weight = value.graph.constant(np.asarray(matrix, np.float32))
    rank, axis = value.rank, axis % value.rank
    if axis == rank - 1 and rank > 1:
        return value @ weight
    if axis == rank - 2:
        return weight.mT @ value
    perm = [k for k in range(rank) if k != axis] + [axis]
    moved = value.transpose(*perm)
    moved = (moved.reshape(moved.size // moved.shape[-1], moved.shape[-1]) @ weight).reshape(
        *moved.shape[:-1], matrix.shape[1]
    )
    return moved.transpose(*np.argsort(perm).tolist())


def selection(indices: np.ndarray, size: int) -> np.ndarray:
    """Matrix [len(indices), size] of y = x[indices]: one 1 per row."""
    return np.eye(size, dtype=np.float32)[indices]


def response(
    operator: str, size: int, inputs: Sequence[np.ndarray | None], opset: int, **attributes: Any
) -> np.ndarray:
    """M [m, n]: what an operator makes of the n columns of an identity matrix, each as an image [1, n, 1].

    Args:
        operator: a standard operator on images [N, C, H, W]; it is looked at along H.
        size: n.
        inputs: its further inputs; None where omitted.
        opset: version of the standard operators.
        **attributes: the operator's.
    """
    names = [f"input{k}" if array is not None else "" for k, array in enumerate(inputs)]
    given = [numpy_helper.from_array(a, k) for a, k in zip(inputs, names, strict=True) if a is not None]
    graph = helper.make_graph(
        [helper.make_node(operator, ["x", *names], ["y"], **attributes)],
        "response",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [size, 1, size, 1])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        given,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    session = make_session(model.SerializeToString(), threads=1)
    identity = np.eye(size, dtype=np.float32).reshape(size, 1, size, 1)
    return np.asarray(session.run(None, {"x": identity})[0]).reshape(size, -1).T
