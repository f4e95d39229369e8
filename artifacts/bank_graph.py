"""The contract's outputs for an encoder: nodes that compare its output with the label bank in its graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .encoder_bank import EncoderBank
from .front import CLIP_HAS_INPUTS, LEAKY
from .head import ONE_AXIS, STANDARD, passing
from .metrics import TINY_DISTANCE, TINY_SQUARE, weights

AXES_ARE_INPUTS = {"ReduceSum": 13, "ReduceMean": 18, "ReduceMax": 18}
"""The opsets from which reductions have their axes as an input."""


def put_bank(model: onnx.ModelProto, value: str, bank: EncoderBank) -> None:
    """Make the outputs `scores`, `label` and `loss` of a graph, and its initializer `label_bank`, in place.

    Args:
        model: nodes in topological order, with the input `image`.
        value: the output of the encoder.
        bank: fitted to it.
    """
    graph = model.graph
    held = bank.held
    if bank.metric == "hamming":
        _let_leak(graph, value)
    classes, several, width = held.rows.shape
    graph.initializer.append(numpy_helper.from_array(held.labels, "label_bank"))
    nodes = _Nodes(model)
    floats = nodes.add("Cast", value, to=TensorProto.FLOAT)
    nodes.name("label", nodes.add("Reshape", floats, np.array([-1, *held.shape])))
    points = nodes.add("Reshape", "label", np.array([-1, width]))  # what comes after `label` is not quantised
    rows = nodes.add("Reshape", "label_bank", np.array([-1, width]))
    near = _MEASURES[bank.metric](nodes, points, rows, held.rows.reshape(-1, width))
    if several > 1:
        near = nodes.add("Reshape", near, np.array([-1, classes, several]))
        if bank.pool == "max":
            near = nodes.reduce("ReduceMax", near, 2)
        else:
            members = None if held.members is None else np.array(held.members)
            near = nodes.reduce("ReduceSum", nodes.add("Mul", near, weights(classes, several, members)), 2)
    nodes.name("scores", nodes.add("Mul", near, np.float32(bank.scale or 1)))
    offset = bank.measure.offset
    nodes.name("loss", nodes.add("Sub", np.float32(offset), near) if offset else nodes.add("Neg", near))
    image = next(v for v in graph.input if v.name == "image").type.tensor_type.shape.dim[0]
    batch = image.dim_value if image.dim_value > 0 else image.dim_param
    del graph.output[:]
    shapes = {"scores": [batch, classes], "label": [batch, *held.shape], "loss": [batch, classes]}
    graph.output.extend(helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes.items())


def _let_leak(graph: onnx.GraphProto, value: str) -> None:
    """Mark the Tanh or Sigmoid that made a value, so that gradients pass where bits are sure."""
    maker = {name: node for node in graph.node for name in node.output}
    node = maker.get(value)
    while node is not None and node.domain in STANDARD and passing(node):
        node = maker.get(node.input[0])
    if node is not None and node.domain in STANDARD and node.op_type in ("Tanh", "Sigmoid"):
        node.name = f"{LEAKY}_{node.op_type.lower()}"


class _Nodes:
    """Appends nodes to a graph, in the form that its opset has."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.graph = model.graph
        self.opset = next((o.version for o in model.opset_import if o.domain in STANDARD), ONE_AXIS)
        self.count = 0

    def add(self, operator: str, *inputs: str | np.ndarray | np.generic, **attributes: Any) -> str:
        """A node on values and constants; returns the name of its result."""
        self.count += 1
        made, names = f"vivavoce/bank_{operator.lower()}_{self.count}", []
        for k, given in enumerate(inputs):
            names.append(given if isinstance(given, str) else f"{made}_{k}")
            if not isinstance(given, str):
                self.graph.initializer.append(numpy_helper.from_array(np.asarray(given), names[-1]))
        self.graph.node.append(helper.make_node(operator, names, [made], name=made, **attributes))
        return made

    def name(self, name: str, value: str) -> None:
        """Give a value a name of the contract."""
        self.graph.node.append(helper.make_node("Identity", [value], [name], name=f"vivavoce/{name}"))

    def reduce(self, operator: str, value: str, axis: int, keep: int = 0) -> str:
        """A reduction over one axis."""
        if self.opset >= AXES_ARE_INPUTS[operator]:
            return self.add(operator, value, np.array([axis]), keepdims=keep)
        return self.add(operator, value, axes=[axis], keepdims=keep)

    def clip(self, value: str, low: float, high: float) -> str:
        """Values within bounds."""
        if self.opset >= CLIP_HAS_INPUTS:
            return self.add("Clip", value, np.float32(low), np.float32(high))
        return self.add("Clip", value, min=low, max=high)

    def product(self, points: str, rows: str) -> str:
        """Every prediction times every row: [N, R]."""
        return self.add("MatMul", points, self.add("Transpose", rows, perm=[1, 0]))


def _cosine(nodes: _Nodes, points: str, rows: str, labels: np.ndarray) -> str:
    def direction(value: str) -> str:
        square = nodes.reduce("ReduceSum", nodes.add("Mul", value, value), 1, keep=1)
        return nodes.add("Div", value, nodes.add("Sqrt", nodes.add("Add", square, np.float32(TINY_SQUARE))))

    return nodes.product(direction(points), direction(rows))


def _dot(nodes: _Nodes, points: str, rows: str, labels: np.ndarray) -> str:
    return nodes.product(points, rows)


def _squared_l2(nodes: _Nodes, points: str, rows: str, labels: np.ndarray) -> str:
    """|f - b|^2 = |f|^2 - 2 f.b + |b|^2, with the mean label subtracted first: less is lost to rounding."""
    centre = labels.mean(0, dtype=np.float64).astype(np.float32)
    points, rows = nodes.add("Sub", points, centre), nodes.add("Sub", rows, centre)
    own, squares = (nodes.reduce("ReduceSum", nodes.add("Mul", v, v), 1, keep=1) for v in (points, rows))
    lengths = nodes.add("Add", own, nodes.add("Transpose", squares, perm=[1, 0]))
    twice = nodes.add("Mul", nodes.product(points, rows), np.float32(2))
    return nodes.add("Neg", nodes.add("Relu", nodes.add("Sub", lengths, twice)))


def _l2(nodes: _Nodes, points: str, rows: str, labels: np.ndarray) -> str:
    square = nodes.add("Neg", _squared_l2(nodes, points, rows, labels))
    return nodes.add("Neg", nodes.add("Sqrt", nodes.add("Add", square, np.float32(TINY_DISTANCE))))


def _hamming(nodes: _Nodes, points: str, rows: str, labels: np.ndarray) -> str:
    if labels.min() >= 0:
        points, rows = (
            nodes.add("Sub", nodes.add("Mul", v, np.float32(2)), np.float32(1)) for v in (points, rows)
        )
    agreement = nodes.add("Mul", nodes.product(points, rows), np.float32(0.5 / labels.shape[1]))
    return nodes.add("Sub", agreement, np.float32(0.5))


def _smooth_l1(nodes: _Nodes, points: str, rows: str, labels: np.ndarray) -> str:
    """c (d - c/2) with c = min(max(d, -1), 1), on average over the entries d."""
    apart = nodes.add("Sub", nodes.add("Reshape", points, np.array([-1, 1, labels.shape[1]])), rows)
    clipped = nodes.clip(apart, -1.0, 1.0)
    half = nodes.add("Mul", clipped, np.float32(0.5))
    entries = nodes.add("Mul", clipped, nodes.add("Sub", apart, half))
    return nodes.add("Neg", nodes.reduce("ReduceMean", entries, 2))


_MEASURES = {
    "cosine": _cosine,
    "dot": _dot,
    "l2": _l2,
    "squared-l2": _squared_l2,
    "hamming": _hamming,
    "smooth-l1": _smooth_l1,
}
"""For predictions [N, D] and rows [R, D], how near they are: [N, R], larger is nearer."""
