"""Convolutions made plain: pads written out, batch normalisation folded in."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

WINDOWED = frozenset(["Conv", "ConvTranspose", "MaxPool", "AveragePool", "LpPool"])


def explicit_pads(model: onnx.ModelProto) -> None:
    """Replace `auto_pad` and `output_shape` by the pads they stand for, in place; shapes must be known."""
    infos = (*model.graph.input, *model.graph.value_info, *model.graph.output)
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in infos}
    shapes.update({t.name: list(t.dims) for t in model.graph.initializer})
    for node in model.graph.node:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        mode = attributes.get("auto_pad", b"NOTSET").decode()
        if node.op_type not in WINDOWED or (mode == "NOTSET" and "output_shape" not in attributes):
            continue
        if mode == "VALID":
            attributes.pop("pads", None)
        elif node.input[0] in shapes and node.output[0] in shapes:
            kernel = attributes.get("kernel_shape") or shapes[node.input[1]][2:]
            sizes = shapes[node.input[0]][2:], shapes[node.output[0]][2:]
            attributes["pads"] = _pads(node.op_type, attributes, kernel, *sizes, upper=mode == "SAME_UPPER")
        else:
            continue
        attributes.pop("auto_pad", None)
        attributes.pop("output_shape", None)
        del node.attribute[:]
        node.attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())


def _pads(
    operator: str, attributes: dict, kernel: list[int], before: list[int], after: list[int], *, upper: bool
) -> list[int]:
    """Pads at the start of each dimension, then at the end of each; the odd one at the end if `upper`.

    A ConvTranspose with an `output_shape` and no `auto_pad` has it at the start, as SAME_LOWER does.
    """
    n = len(kernel)
    strides, dilations = attributes.get("strides", [1] * n), attributes.get("dilations", [1] * n)
    extra = attributes.get("output_padding", [0] * n)
    starts, ends = [], []
    for k in range(n):
        reach = dilations[k] * (kernel[k] - 1) + 1
        if operator == "ConvTranspose":
            total = strides[k] * (before[k] - 1) + extra[k] + reach - after[k]
        else:
            total = max(0, strides[k] * (after[k] - 1) + reach - before[k])
        small, large = total // 2, total - total // 2
        starts.append(small if upper else large)
        ends.append(large if upper else small)
    return [*starts, *ends]


def fold_batch_normalization(model: onnx.ModelProto) -> None:
    """Fold BatchNormalization into the ConvTranspose before it, in place.

    y = a (W x + c) + b with a = s / (v + e)^(1/2), b = t - a m becomes (a W) x + (a c + b).
    """
    arrays = {t.name: t for t in model.graph.initializer}
    makers = {name: node for node in model.graph.node for name in node.output}
    readers: dict[str, int] = {}
    for node in model.graph.node:
        for name in node.input:
            readers[name] = readers.get(name, 0) + 1
    finished = {output.name for output in model.graph.output}
    for norm in [n for n in model.graph.node if n.op_type == "BatchNormalization"]:
        before = makers.get(norm.input[0])
        if before is None or before.op_type != "ConvTranspose" or readers[norm.input[0]] != 1:
            continue
        if norm.input[0] in finished or not all(
            name in arrays for name in [*before.input[1:], *norm.input[1:]]
        ):
            continue
        _merge(model.graph, before, norm, arrays)


def _merge(
    graph: onnx.GraphProto, conv: onnx.NodeProto, norm: onnx.NodeProto, arrays: dict[str, onnx.TensorProto]
) -> None:
    """Write the folded weight and bias, and let the convolution make the normalisation's output."""
    weight, *bias = (numpy_helper.to_array(arrays[name]).astype(np.float64) for name in conv.input[1:])
    scale, shift, mean, variance = (
        numpy_helper.to_array(arrays[n]).astype(np.float64) for n in norm.input[1:]
    )
    epsilon = next((a.f for a in norm.attribute if a.name == "epsilon"), 1e-5)
    slope = scale / np.sqrt(variance + epsilon)
    group = next((a.i for a in conv.attribute if a.name == "group"), 1)
    inputs, per_group, *kernel = weight.shape
    grouped = weight.reshape(group, inputs // group, per_group, *kernel)
    grouped = grouped * slope.reshape(group, 1, per_group, *[1] * len(kernel))
    offset = ((bias[0] if bias else 0.0) - mean) * slope + shift
    names = [f"{norm.output[0]}__weight", f"{norm.output[0]}__bias"]
    for name, array in zip(names, (grouped.reshape(weight.shape), offset), strict=True):
        graph.initializer.append(numpy_helper.from_array(array.astype(np.float32), name))
    del conv.input[1:]
    conv.input.extend(names)
    conv.output[0] = norm.output[0]
    graph.node.remove(norm)
