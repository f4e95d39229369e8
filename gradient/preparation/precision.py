"""Half and double precision models, turned into float32 ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

OTHERS = frozenset([TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE])
"""Floating-point types that become float32. The gradient needs its range and precision."""

_TYPE_ATTRIBUTES = frozenset(["to", "dtype", "stash_type", "output_dtype", "softmax_precision"])


def to_float32(model: onnx.ModelProto) -> None:
    """Store and compute everything that is half, bfloat16 or double as float32, in place."""
    _graph(model.graph)


def _graph(graph: onnx.GraphProto) -> None:
    for tensor in graph.initializer:
        _tensor(tensor)
    for info in (*graph.input, *graph.output, *graph.value_info):
        if info.type.tensor_type.elem_type in OTHERS:
            info.type.tensor_type.elem_type = TensorProto.FLOAT
    for node in graph.node:
        for attribute in node.attribute:
            _attribute(attribute, _graph)


def _attribute(attribute: onnx.AttributeProto, visit: Callable[[onnx.GraphProto], None]) -> None:
    if attribute.name in _TYPE_ATTRIBUTES and attribute.i in OTHERS:
        attribute.i = TensorProto.FLOAT
    if attribute.HasField("t"):
        _tensor(attribute.t)
    for graph in ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs):
        visit(graph)


def _tensor(tensor: onnx.TensorProto) -> None:
    if tensor.data_type in OTHERS:
        array = numpy_helper.to_array(tensor).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
