"""Operators on integers, written out as dequantise, operator, quantise.

A quantised operator is defined as its float counterpart between the two, up to the rounding of the
accumulation, so this changes an integer by one at most and rarely. The rules then see float operators
and the two conversions only. (The scores an audit reports come from the file itself.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ...artifacts.head import ONE_AXIS
from ...errors import VivavoceError
from ..errors import UnsupportedOperator
from ..graph import MICROSOFT, STANDARD


@dataclass(frozen=True)
class Layout:
    """Where a quantised operator keeps its inputs."""

    operator: str
    """The float operator."""
    quantised: tuple[tuple[int, int, int], ...]
    """Positions of (value, scale, zero point) of each quantised input."""
    result: tuple[int, int]
    """Positions of the result's scale and zero point."""
    bias: int | None = None
    """Position of an int32 bias, whose scale is the product of the first two inputs' scales."""
    weight_axis: int = 1
    """Axis of the second input along which it may have a scale per entry; 0 if it is transposed."""
    given: int = 0
    """Inputs before those, which are not quantised."""


AXES_GIVEN = 18
"""The opset from which ReduceMean has its axes as an input."""
PLANE = (0, 0)
"""Sizes of the kernel of an operator on images that does not say them."""
TWO = ((0, 1, 2), (3, 4, 5))
LAYOUTS = {
    ("", "QLinearConv"): Layout("Conv", TWO, (6, 7), bias=8, weight_axis=0),
    (MICROSOFT, "QLinearConv"): Layout("Conv", TWO, (6, 7), bias=8, weight_axis=0),
    (MICROSOFT, "QLinearWhere"): Layout("Where", ((1, 2, 3), (4, 5, 6)), (7, 8), given=1),
    ("", "QLinearMatMul"): Layout("MatMul", TWO, (6, 7), weight_axis=-1),
    (MICROSOFT, "QLinearAdd"): Layout("Add", TWO, (6, 7)),
    (MICROSOFT, "QLinearMul"): Layout("Mul", TWO, (6, 7)),
    (MICROSOFT, "QGemm"): Layout("Gemm", TWO, (7, 8), bias=6),
    (MICROSOFT, "QLinearGlobalAveragePool"): Layout("GlobalAveragePool", ((0, 1, 2),), (3, 4)),
    (MICROSOFT, "QLinearAveragePool"): Layout("AveragePool", ((0, 1, 2),), (3, 4)),
    (MICROSOFT, "QLinearReduceMean"): Layout("ReduceMean", ((0, 1, 2),), (3, 4)),
    (MICROSOFT, "QLinearLeakyRelu"): Layout("LeakyRelu", ((0, 1, 2),), (3, 4)),
    (MICROSOFT, "QLinearSigmoid"): Layout("Sigmoid", ((0, 1, 2),), (3, 4)),
    (MICROSOFT, "QLinearSoftmax"): Layout("Softmax", ((0, 1, 2),), (3, 4)),
}


def write_out(model: onnx.ModelProto) -> bool:
    """Replace quantised operators, in place; return whether the model has any quantised part at all.

    Raises:
        VivavoceError: one has attributes whose meaning no float operator has.
    """
    graph, nodes = model.graph, []
    quantised = False
    opset = next((o.version for o in model.opset_import if o.domain in STANDARD), ONE_AXIS)
    for node in graph.node:
        layout = LAYOUTS.get((node.domain, node.op_type))
        if layout is not None:
            nodes += _expanded(node, layout, opset)
        elif (node.domain, node.op_type) == (MICROSOFT, "QLinearConcat"):
            nodes += _concatenated(node)
        else:
            if node.domain == MICROSOFT and node.op_type in ("QuantizeLinear", "DequantizeLinear"):
                node.domain = ""
            nodes.append(node)
        quantised = quantised or "Quantize" in node.op_type or "Integer" in node.op_type
        quantised = quantised or node.op_type.startswith("Q")
    copies = [_copy(node) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
    return quantised


def _copy(node: onnx.NodeProto) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    return copy


def _softmax(attributes: dict[str, Any], opset: int) -> dict[str, Any]:
    """The axis of a Softmax in a model of some opset that means what QLinearSoftmax's own `opset` says.

    Raises:
        VivavoceError: the two differ in what an axis means.
    """
    meant, axis = attributes.get("opset", opset), attributes.get("axis", -1)
    if (meant >= ONE_AXIS) != (opset >= ONE_AXIS) and axis != -1:
        raise VivavoceError(
            f"QLinearSoftmax of opset {meant} with axis {axis} in a model of opset {opset} has no equal"
        )
    return {"axis": axis}


def _expanded(node: onnx.NodeProto, layout: Layout, opset: int) -> list[onnx.NodeProto]:
    """Dequantise each input, apply the float operator, quantise the result."""
    stem, inputs = node.output[0], list(node.input) + [""] * 9
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    titled = (f"{MICROSOFT}.{node.op_type}", node.name or node.output[0])
    last = attributes.pop("channels_last", 0)
    if layout.bias is not None and inputs[layout.bias] and attributes.get("alpha", 1) != 1:
        raise UnsupportedOperator(*titled, "it scales its bias by alpha")
    if layout.operator == "Softmax":
        attributes = _softmax(attributes, opset)
    weight_axis = 0 if attributes.get("transB") else layout.weight_axis
    made, floats = [], list(node.input[: layout.given])
    for k, (value, scale, zero) in enumerate(layout.quantised):
        axis = weight_axis if k == 1 else -1 if last else 1
        made.append(_dequantise(inputs[value], inputs[scale], inputs[zero], f"{stem}__float{k}", axis))
        floats.append(made[-1].output[0])
    dims = len(attributes.get("kernel_shape", PLANE))
    if last:
        made.append(_turned(floats[0], f"{stem}__channels_first", [0, dims + 1, *range(1, dims + 1)]))
        floats[0] = made[-1].output[0]
    if layout.bias is not None and inputs[layout.bias]:
        product = f"{stem}__bias_scale"
        scales = [inputs[layout.quantised[0][1]], inputs[layout.quantised[1][1]]]
        made.append(helper.make_node("Mul", scales, [product]))
        made.append(_dequantise(inputs[layout.bias], product, "", f"{stem}__bias", 0))
        floats.append(made[-1].output[0])
    if layout.operator == "ReduceMean" and opset >= AXES_GIVEN:
        axes = numpy_helper.from_array(np.array(attributes.pop("axes"), np.int64))
        made.append(helper.make_node("Constant", [], [f"{stem}__axes"], value=axes))
        floats.append(made[-1].output[0])
    made.append(helper.make_node(layout.operator, floats, [f"{stem}__float"], node.name, **attributes))
    if last:
        made[-1].output[0] = f"{stem}__channels_second"
        made.append(_turned(f"{stem}__channels_second", f"{stem}__float", [0, *range(2, dims + 2), 1]))
    scale, zero = layout.result
    if inputs[scale]:
        made.append(_quantise(f"{stem}__float", inputs[scale], inputs[zero], stem))
    else:  # QGemm without a result scale gives floats
        made[-1].output[0] = stem
    return made


def _turned(value: str, output: str, perm: list[int]) -> onnx.NodeProto:
    return helper.make_node("Transpose", [value], [output], output, perm=perm)


def _concatenated(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """QLinearConcat: the result's scale and zero point, then (value, scale, zero point) of each part."""
    scale, zero, *parts = node.input
    stem, made = node.output[0], []
    for k in range(0, len(parts), 3):
        made.append(_dequantise(parts[k], parts[k + 1], parts[k + 2], f"{stem}__float{k}", 1))
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    joined = [part.output[0] for part in made]
    made.append(helper.make_node("Concat", joined, [f"{stem}__float"], node.name, **attributes))
    return [*made, _quantise(f"{stem}__float", scale, zero, stem)]


def _dequantise(value: str, scale: str, zero: str, output: str, axis: int) -> onnx.NodeProto:
    inputs = [value, scale, zero] if zero else [value, scale]
    return helper.make_node("DequantizeLinear", inputs, [output], output, axis=axis)


def _quantise(value: str, scale: str, zero: str, output: str) -> onnx.NodeProto:
    inputs = [value, scale, zero] if zero else [value, scale]
    return helper.make_node("QuantizeLinear", inputs, [output], f"{output}__quantised")
