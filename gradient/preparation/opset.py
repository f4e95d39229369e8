"""Old versions of the standard operators, brought to the one that the rules read.

onnx's converter does most of it. What it leaves out is written here: what an old operator meant must be
said by the attributes that came later, whose defaults mean something else.
"""

from __future__ import annotations

import math

import numpy as np
import onnx
from onnx import helper, numpy_helper, version_converter

from ...artifacts.sessions import without_weights
from ...errors import VivavoceError
from ..graph import STANDARD

OPSET = 18
"""Oldest version of the standard operators that the rules read and write."""

CHOSEN_COORDINATES = 11
"""The opset from which Resize says how coordinates are transformed and rounded."""


def convert(model: onnx.ModelProto) -> onnx.ModelProto:
    """Bring a model to opset 18, or leave it where it is beyond that; may change the model given.

    Raises:
        VivavoceError: the opset cannot be converted.
    """
    opset = next((o.version for o in model.opset_import if o.domain in STANDARD), OPSET)
    if opset >= OPSET:
        return model
    model.ir_version = max(model.ir_version, 8)  # older ones expect initializers among the inputs
    try:
        converted = _converted(model)
    except Exception as error:  # the converter raises several kinds, RuntimeError among them
        line = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise VivavoceError(f"opset {opset} cannot be brought to {OPSET}: {line}") from error
    if opset < CHOSEN_COORDINATES:
        _write_out_resizing(converted.graph)
    return converted


LIGHT = 1024
"""Entries up to which the converter may want to read a constant: shapes, axes, scales."""


def _converted(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model by onnx's converter, which copies it several times: large weights are inputs meanwhile."""
    light = without_weights(model)
    large = [t for t in model.graph.initializer if math.prod(t.dims) > LIGHT]
    light.graph.initializer.extend(t for t in model.graph.initializer if math.prod(t.dims) <= LIGHT)
    light.graph.input.extend(helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in large)
    light = version_converter.convert_version(light, OPSET)
    names = {t.name for t in large}
    for entry in [v for v in light.graph.input if v.name in names]:
        light.graph.input.remove(entry)
    light.graph.initializer.extend(large)
    return light


def _write_out_resizing(graph: onnx.GraphProto) -> None:
    """Say what Upsample and Resize-10 meant: asymmetric coordinates, rounded as onnxruntime does it.

    For the nearest entry it rounds up along dimensions that shrink and down along the others. Where
    both kinds occur, two nodes resize one after the other: dimensions do not influence each other.
    """
    constants = {t.name: t for t in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.op_type != "Resize" or node.domain not in STANDARD:
            nodes.append(node)
            continue
        mode = next((a.s for a in node.attribute if a.name == "mode"), b"nearest")
        name = node.input[2] if len(node.input) > 2 else ""
        scales = numpy_helper.to_array(constants[name]) if name in constants else _constant(nodes, name)
        shrinks = scales is not None and bool((scales < 1).any())
        grows = scales is not None and bool((scales > 1).any())
        if mode != b"nearest" or scales is None or not (shrinks and grows):
            nodes.append(_resize(node, node.input[0], name, node.output[0], mode, up=shrinks))
            continue
        middle = f"{node.output[0]}__shrunk"
        for k, part in enumerate((np.minimum(scales, 1), np.maximum(scales, 1))):
            graph.initializer.append(numpy_helper.from_array(part.astype(np.float32), f"{middle}_{k}"))
        nodes.append(_resize(node, node.input[0], f"{middle}_0", middle, mode, up=True))
        nodes.append(_resize(node, middle, f"{middle}_1", node.output[0], mode, up=False))
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def _constant(nodes: list[onnx.NodeProto], name: str) -> np.ndarray | None:
    """What a Constant node among those before holds."""
    for node in nodes:
        if name in node.output and node.op_type == "Constant":
            return next((numpy_helper.to_array(a.t) for a in node.attribute if a.name == "value"), None)
    return None


def _resize(
    node: onnx.NodeProto, value: str, scales: str, output: str, mode: bytes, *, up: bool
) -> onnx.NodeProto:
    return helper.make_node(
        "Resize", [value, "", scales], [output], node.name, mode=mode.decode(),
        coordinate_transformation_mode="asymmetric", nearest_mode="ceil" if up else "floor",
    )  # fmt: skip
