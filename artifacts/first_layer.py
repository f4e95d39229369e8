"""What the first layer of a graph says about the layout of its images."""

from __future__ import annotations

from typing import Literal, NamedTuple

import onnx

from .normalisation import AFFINE

PASSING = AFFINE | {
    "Identity",
    "Cast",
    "Clip",
    "Pad",
    "BatchNormalization",
    "QuantizeLinear",
    "DequantizeLinear",
}
"""Operators that may stand before the first layer and keep the layout."""
TO_NCHW = [0, 3, 1, 2]
LAYERS = ("Conv", "ConvInteger", "QLinearConv")


class FirstLayer(NamedTuple):
    """What is known; None: nothing."""

    layout: Literal["nchw", "nhwc"] | None
    channels: int | None


UNKNOWN = FirstLayer(None, None)


def first_layer(model: onnx.ModelProto, entrance: str) -> FirstLayer:
    """Follow an input to the first Transpose or convolution, if there is one way only."""
    shapes = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    held = shapes.keys() | {n.output[0] for n in model.graph.node if n.op_type == "Constant"}
    reached, layout = {entrance}, None
    for node in model.graph.node:
        if not reached.intersection(node.input):
            continue
        images = [name for name in node.input if name in reached]
        if node.domain not in ("", "ai.onnx") or len(images) > 1:
            break
        if node.op_type in LAYERS:
            weight = shapes.get(node.input[3 if node.op_type == "QLinearConv" else 1])
            group = next((a.i for a in node.attribute if a.name == "group"), 1)
            return FirstLayer(layout or "nchw", weight[1] * group if weight and len(weight) == 4 else None)
        perm = next((list(a.ints) for a in node.attribute if a.name == "perm"), None)
        if node.op_type == "Transpose" and layout is None and perm == TO_NCHW:
            layout = "nhwc"
        elif node.op_type not in PASSING or not all(n in held for n in node.input if n and n not in images):
            break
        reached.update(node.output)
    return FirstLayer(layout, None)
