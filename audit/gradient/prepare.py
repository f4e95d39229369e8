"""Preparation: from a model as somebody exported it to one the rules can walk through.

`normalise` does what does not depend on the batch: the outputs that matter, one opset, one order, float32.
`specialise` then fixes every shape and lets onnxruntime simplify the graph (constants folded, batch
normalisation folded into convolutions), which leaves standard operators only.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper, shape_inference, version_converter

from ...errors import VivavoceError
from .graph import STANDARD, consumed, prune
from .losses import LABEL_BANK

OPSET = 18
"""Oldest version of the standard operators that the rules read and write."""


def normalise(model: onnx.ModelProto, outputs: Sequence[str]) -> onnx.ModelProto:
    """A copy of the model with only what `outputs` need, in order and at opset >= 18.

    Raises:
        VivavoceError: an output is not there, or the opset cannot be converted.
    """
    model = onnx.inliner.inline_local_functions(model) if model.functions else _copy(model)
    _keep_outputs(model, outputs)
    _sort(model.graph)
    constants = {t.name for t in model.graph.initializer}
    inputs = [v for v in model.graph.input if v.name not in constants]
    del model.graph.input[:], model.graph.value_info[:]
    model.graph.input.extend(inputs)
    return _convert(prune(model, [LABEL_BANK]))


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def _keep_outputs(model: onnx.ModelProto, names: Sequence[str]) -> None:
    by_name = {output.name: output for output in model.graph.output}
    for name in names:
        if name not in by_name:
            raise VivavoceError(f"the model has no output `{name}`; its outputs are: {', '.join(by_name)}")
    del model.graph.output[:]
    for name in names:
        element = by_name[name].type.tensor_type.elem_type
        model.graph.output.append(helper.make_tensor_value_info(name, element, None))


def _sort(graph: onnx.GraphProto) -> None:
    """Put the nodes in topological order, which the standard asks for and some writers ignore."""
    made = {name for node in graph.node for name in node.output}
    waiting, done, ordered = list(graph.node), set(), []
    while waiting:
        ready = [n for n in waiting if all(i in done or i not in made for i in consumed(n))]
        if not ready:
            raise VivavoceError(f"the model's graph has a cycle (at node `{waiting[0].name}`)")
        ordered += ready
        done.update(name for node in ready for name in node.output)
        waiting = [n for n in waiting if not any(n is r for r in ready)]
    del graph.node[:]
    graph.node.extend(ordered)


def _convert(model: onnx.ModelProto) -> onnx.ModelProto:
    opset = next((o.version for o in model.opset_import if o.domain in STANDARD), OPSET)
    if opset >= OPSET:
        return model
    try:
        return version_converter.convert_version(model, OPSET)
    except Exception as error:  # the converter raises several kinds, RuntimeError among them
        raise VivavoceError(f"opset {opset} cannot be brought to {OPSET}: {error}") from error


def specialise(model: onnx.ModelProto, image: str, shape: Sequence[int]) -> onnx.ModelProto:
    """Fix the image's shape, simplify, and infer every other shape.

    Args:
        model: from `normalise`.
        image: name of the input.
        shape: [N, C, H, W], all known.

    Raises:
        VivavoceError: onnxruntime cannot load the model with this shape.
    """
    model = _copy(model)
    tensor = next(v for v in model.graph.input if v.name == image).type.tensor_type
    tensor.ClearField("shape")
    for size in shape:
        tensor.shape.dim.add().dim_value = size
    bank = [t for t in model.graph.initializer if t.name == LABEL_BANK]
    model = _simplify(model)
    if bank and all(t.name != LABEL_BANK for t in model.graph.initializer):
        model.graph.initializer.extend(bank)
    _fold_batch_normalization(model)
    return shape_inference.infer_shapes(model, data_prop=True)


def _simplify(model: onnx.ModelProto) -> onnx.ModelProto:
    """onnxruntime's own basic optimisations; they leave a standard graph."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 4
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        options.optimized_model_filepath = str(path)
        try:
            onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions have no common public base
            raise VivavoceError(f"onnxruntime cannot load the model: {str(error).splitlines()[0]}") from error
        return onnx.load(path)


def _fold_batch_normalization(model: onnx.ModelProto) -> None:
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
        if norm.input[0] in finished or not all(name in arrays for name in [*before.input[1:], *norm.input[1:]]):
            continue
        _merge(model.graph, before, norm, arrays)


def _merge(
    graph: onnx.GraphProto, conv: onnx.NodeProto, norm: onnx.NodeProto, arrays: dict[str, onnx.TensorProto]
) -> None:
    """Write the folded weight and bias, and let the convolution make the normalisation's output."""
    weight, *bias = (numpy_helper.to_array(arrays[name]).astype(np.float64) for name in conv.input[1:])
    scale, shift, mean, variance = (numpy_helper.to_array(arrays[n]).astype(np.float64) for n in norm.input[1:])
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
