"""The shape and type of every value of a model whose input shapes are fixed."""

from __future__ import annotations

import math

import numpy as np
import onnx
from onnx import helper, shape_inference

from ...artifacts.runtime import make_session
from ...errors import VivavoceError
from ...text import plain


def infer(model: onnx.ModelProto) -> onnx.ModelProto:
    """Infer shapes, in place, by the standard's rules and, for values those leave open, by a run."""
    _infer_by_rules(model)
    known = {
        v.name for v in (*model.graph.input, *model.graph.value_info, *model.graph.output) if _complete(v)
    }
    known |= {t.name for t in model.graph.initializer}
    missing = [name for node in model.graph.node for name in node.output if name and name not in known]
    if missing:
        _add(model, _measure(model, missing))
    return model


LARGEST = 2_000_000_000
"""Bytes that one value may take for one image."""


def check_sizes(model: onnx.ModelProto, batch: int) -> None:
    """Refuse a model with an absurdly large value, before anything computes it.

    Args:
        model: the image's shape is fixed.
        batch: its number of images.

    Raises:
        VivavoceError: a value takes more than `LARGEST` bytes.
    """
    for value in _by_rules(model).value_info:
        tensor = value.type.tensor_type
        if not _complete(value) or tensor.elem_type == onnx.TensorProto.STRING:
            continue
        each = helper.tensor_dtype_to_np_dtype(tensor.elem_type).itemsize
        size = each * math.prod(d.dim_value for d in tensor.shape.dim)
        if size > LARGEST * max(batch, 1):
            raise VivavoceError(
                f"the value `{plain(value.name)}` takes {size / 1e9:.1f} GB; at most {LARGEST / 1e9:g} GB "
                "are computed for one image"
            )


def _infer_by_rules(model: onnx.ModelProto) -> None:
    """The standard's shape inference, in place."""
    found = _by_rules(model)
    del model.graph.value_info[:], model.graph.output[:]
    model.graph.value_info.extend(found.value_info)
    model.graph.output.extend(found.output)


def _by_rules(model: onnx.ModelProto) -> onnx.GraphProto:
    """The standard's shape inference on a copy whose large weights have lost their data.

    The copy's nodes must read nothing from them but their shapes, and copies of all weights add up.
    """
    light = onnx.ModelProto()
    light.ir_version = model.ir_version
    light.opset_import.extend(model.opset_import)
    light.graph.node.extend(model.graph.node)
    light.graph.input.extend(model.graph.input)
    light.graph.output.extend(model.graph.output)
    light.graph.value_info.extend(model.graph.value_info)
    light.graph.name = model.graph.name
    for tensor in model.graph.initializer:
        if math.prod(tensor.dims) <= _SMALL:
            light.graph.initializer.append(tensor)
        else:
            light.graph.input.append(
                helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            )
    return shape_inference.infer_shapes(light, data_prop=True).graph


_SMALL = 1024
"""Entries up to which a constant may be a shape, an axis or a scale."""


def _complete(info: onnx.ValueInfoProto) -> bool:
    tensor = info.type.tensor_type
    sized = tensor.HasField("shape") and all(d.HasField("dim_value") for d in tensor.shape.dim)
    return sized and tensor.elem_type != onnx.TensorProto.UNDEFINED


def _measure(model: onnx.ModelProto, names: list[str]) -> dict[str, np.ndarray]:
    """What the named values hold for an image of one half everywhere; nothing if the model does not run."""
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    del probe.graph.output[:], probe.graph.value_info[:]
    probe.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    try:
        session = make_session(probe.SerializeToString(), optimise="none")
        feeds = {v.name: _half(v) for v in model.graph.input}
        return dict(zip(names, map(np.asarray, session.run(names, feeds)), strict=True))
    except Exception:  # onnxruntime's exceptions have no public base; the values just stay unknown
        return {}


def _half(info: onnx.ValueInfoProto) -> np.ndarray:
    tensor = info.type.tensor_type
    shape = [d.dim_value for d in tensor.shape.dim]
    return np.full(shape, 0.5).astype(helper.tensor_dtype_to_np_dtype(tensor.elem_type))


def _add(model: onnx.ModelProto, measured: dict[str, np.ndarray]) -> None:
    """Replace what the model says about the measured values."""
    kept = [v for v in model.graph.value_info if v.name not in measured]
    del model.graph.value_info[:]
    model.graph.value_info.extend(kept)
    outputs = {v.name: v for v in model.graph.output}
    for name, array in measured.items():
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        info = helper.make_tensor_value_info(name, kind, array.shape)
        if name in outputs:
            outputs[name].CopyFrom(info)
        else:
            model.graph.value_info.append(info)
