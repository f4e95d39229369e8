"""Small ONNX models, and seeded changes to their structure that leave a file protobuf can read."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import onnx
from mutations import VALUES, changed
from onnx import TensorProto, helper, numpy_helper

OPERATORS = (
    "Relu", "Conv", "Gemm", "MatMul", "Add", "Div", "Softmax", "Reshape", "Transpose", "Concat", "Slice",
    "Gather", "Resize", "Pad", "Tile", "Expand", "Identity", "Loop", "If", "Cast", "TopK", "ReduceMean",
    "LSTM", "Nonsense", "MaxPool", "QuantizeLinear", "NonZero", "ArgMax", "Range", "ConstantOfShape",
    "Einsum", "Squeeze", "Split",
)  # fmt: skip
NUMBERS = (0, 1, -1, 2, 3, 7, -(2**31), 2**31, 2**40, 2**62, -(2**63))


def convolutional() -> onnx.ModelProto:
    """Convolution, normalisation, pooling, resizing and a dense layer: 3 x 8 x 8 to 10 scores."""
    draw = np.random.default_rng(0)
    weights = {
        "w": draw.normal(size=(4, 3, 3, 3)), "s": np.ones(4), "b": np.zeros(4), "m": np.zeros(4),
        "v": np.ones(4), "roi": np.zeros(0), "scales": [1, 1, 2, 2],
        "d": draw.normal(size=(4, 10)), "e": np.zeros(10),
    }  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["a1"], pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        helper.make_node("BatchNormalization", ["a1", "s", "b", "m", "v"], ["a2"], epsilon=1e-5),
        helper.make_node("Relu", ["a2"], ["a3"]),
        helper.make_node("MaxPool", ["a3"], ["a4"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Resize", ["a4", "roi", "scales"], ["a5"], mode="nearest"),
        helper.make_node("Add", ["a5", "a3"], ["a6"]),
        helper.make_node("GlobalAveragePool", ["a6"], ["a7"]),
        helper.make_node("Flatten", ["a7"], ["a8"], axis=1),
        helper.make_node("Gemm", ["a8", "d", "e"], ["scores"], alpha=1.0, transB=0),
    ]
    return _model(nodes, weights, {})


def attentive() -> onnx.ModelProto:
    """Reshapes, a transposition, layer normalisation, attention and a slice: 3 x 8 x 8 to 10 scores."""
    draw = np.random.default_rng(1)
    weights = {
        "g": np.ones(12),
        "h": np.zeros(12),
        "k": draw.normal(size=(12, 12)),
        "d": draw.normal(size=(12, 10)),
    }
    integers = {
        "to": [0, 3, 16, 4],
        "flat": [0, 16, 12],
        "first": [0],
        "last": [1],
        "axes": [1],
        "squeezed": [1],
    }
    nodes = [
        helper.make_node("Reshape", ["image", "to"], ["a1"]),
        helper.make_node("Transpose", ["a1"], ["a2"], perm=[0, 2, 1, 3]),
        helper.make_node("Reshape", ["a2", "flat"], ["a3"]),
        helper.make_node("LayerNormalization", ["a3", "g", "h"], ["a4"], axis=-1),
        helper.make_node("MatMul", ["a4", "k"], ["a5"]),
        helper.make_node("Transpose", ["a4"], ["a6"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["a5", "a6"], ["a7"]),
        helper.make_node("Softmax", ["a7"], ["a8"], axis=-1),
        helper.make_node("MatMul", ["a8", "a4"], ["a9"]),
        helper.make_node("Concat", ["a9", "a4"], ["b1"], axis=1),
        helper.make_node("Slice", ["b1", "first", "last", "axes"], ["b2"]),
        helper.make_node("Squeeze", ["b2", "squeezed"], ["b3"]),
        helper.make_node("MatMul", ["b3", "d"], ["scores"]),
    ]
    return _model(nodes, weights, integers)


def _model(nodes: list[onnx.NodeProto], weights: dict[str, Any], integers: dict[str, Any]) -> onnx.ModelProto:
    tensors = [numpy_helper.from_array(np.array(v, np.float32), n) for n, v in weights.items()]
    tensors += [numpy_helper.from_array(np.array(v, np.int64), n) for n, v in integers.items()]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 8, 8])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 10])
    graph = helper.make_graph(nodes, "g", [image], [scores], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def restructured(whole: bytes, count: int, seed: int = 0) -> Iterator[bytes]:
    """Models with one to three changes: to nodes, names, attributes, types, sizes, weights or opset."""
    draw = random.Random(seed)
    for _ in range(count):
        model = onnx.load_from_string(whole)
        for _ in range(draw.choice((1, 1, 1, 2, 3))):
            draw.choice((_nodes, _names, _attributes, _attributes, _declared, _tensor, _tensor, _outside))(
                model, draw
            )
        yield model.SerializeToString()


def _nodes(model: onnx.ModelProto, draw: random.Random) -> None:
    nodes = model.graph.node
    if not nodes:
        return
    k = draw.randrange(len(nodes))
    kind = draw.randrange(6)
    if kind == 0:
        del nodes[k]
    elif kind == 1:
        nodes.append(nodes[k])
    elif kind == 2:
        nodes[k].op_type = draw.choice(OPERATORS)
    elif kind == 3:
        nodes[k].domain = draw.choice(("com.microsoft", "ai.onnx.ml", "x", "ai.onnx"))
    elif kind == 4:
        other = nodes[draw.randrange(len(nodes))]
        nodes[k].op_type, other.op_type = other.op_type, nodes[k].op_type
    else:
        copy = onnx.NodeProto.FromString(nodes[k].SerializeToString())
        for i in range(len(copy.output)):
            copy.output[i] += "_again"
        nodes.insert(0, copy)


def _names(model: onnx.ModelProto, draw: random.Random) -> None:
    if not model.graph.node:
        return
    node = draw.choice(model.graph.node)
    names = draw.choice((node.input, node.input, node.output))
    known = [n for other in model.graph.node for n in (*other.input, *other.output)]
    if not names or draw.random() < 0.1:
        names.append(draw.choice(known))
    elif draw.random() < 0.2:
        del names[draw.randrange(len(names))]
    else:
        names[draw.randrange(len(names))] = draw.choice(
            [*known, "", "nowhere", "é\n[red]", "image", "scores"]
        )


def _attributes(model: onnx.ModelProto, draw: random.Random) -> None:
    holders = [node for node in model.graph.node if node.attribute]
    if not holders:
        return
    node = draw.choice(holders)
    k = draw.randrange(len(node.attribute))
    attribute = node.attribute[k]
    kind = draw.randrange(7)
    if kind == 0:
        del node.attribute[k]
    elif kind == 1:
        attribute.name = draw.choice(("axis", "pads", "strides", "alpha", "mode", "to", "group", "x"))
    elif kind == 2:
        attribute.type = draw.randrange(14)  # pyright: ignore[reportAttributeAccessIssue]
    elif kind == 3:
        attribute.f = draw.choice((float("nan"), float("inf"), -1.0, 0.0, 1e38))
    elif attribute.ints:
        attribute.ints[draw.randrange(len(attribute.ints))] = draw.choice(NUMBERS)
        if kind == 4:
            attribute.ints.append(draw.choice(NUMBERS))
    elif attribute.s:
        attribute.s = draw.choice((b"", b"linear", b"\xff\xfe", b"x" * 1000))
    else:
        attribute.i = draw.choice(NUMBERS)


def _declared(model: onnx.ModelProto, draw: random.Random) -> None:
    graph = model.graph
    values = draw.choice((graph.input, graph.output))
    if not values:
        return
    value = draw.choice(values)
    tensor, kind = value.type.tensor_type, draw.randrange(8)
    if kind == 0:
        tensor.elem_type = draw.randrange(25)
    elif kind == 1:
        value.name = draw.choice(("image", "scores", "", "a1", "x\n"))
    elif kind == 2:
        values.remove(value)
    elif kind == 3:
        values.append(value)
    elif kind == 4:
        tensor.ClearField("shape")
    elif kind == 5:
        value.ClearField("type")
    elif tensor.shape.dim and kind == 6:
        draw.choice(tensor.shape.dim).dim_value = draw.choice(NUMBERS)
    else:
        tensor.shape.dim.add().dim_value = draw.choice(NUMBERS)


def _tensor(model: onnx.ModelProto, draw: random.Random) -> None:
    tensors = model.graph.initializer
    if not tensors:
        return
    tensor, other, kind = draw.choice(tensors), draw.choice(tensors), draw.randrange(9)
    if kind == 0:
        tensor.name, other.name = other.name, tensor.name
    elif kind == 1:
        tensor.ClearField("raw_data")
    elif kind == 2:
        del tensor.dims[:]
    elif kind == 3:
        tensor.data_type = draw.randrange(25)
    elif kind == 4 and tensor.dims:
        tensor.dims[draw.randrange(len(tensor.dims))] = draw.choice(NUMBERS)
    elif kind == 5:
        tensors.remove(tensor)
    elif kind == 6:
        tensor.data_location = TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", draw.choice(("../x", "/etc/passwd", "nowhere", "", "model.onnx"))
    elif len(tensor.raw_data) > 8:
        raw, step = bytearray(tensor.raw_data), 8 if tensor.data_type == TensorProto.INT64 else 4
        at = draw.randrange(len(raw) // step) * step
        integer = draw.choice(NUMBERS).to_bytes(8, "little", signed=True)
        number = np.float32(draw.choice((np.nan, np.inf, -1.0, 0.0, 1e30))).tobytes()
        raw[at : at + step] = integer if step == 8 else number
        tensor.raw_data = bytes(raw)
    else:
        tensor.dims[:] = list(reversed(tensor.dims))


def _outside(model: onnx.ModelProto, draw: random.Random) -> None:
    kind = draw.randrange(5)
    if kind == 0 and model.opset_import:
        model.opset_import[0].version = draw.choice((0, 1, 6, 7, 9, 11, 13, 17, 21, 23, 99, -1))
    elif kind == 1:
        model.ir_version = draw.choice((0, 1, 3, 4, 8, 99, -1))
    elif kind == 2:
        del model.opset_import[:]
    elif kind == 3:
        model.opset_import.append(
            helper.make_opsetid(draw.choice(("", "x", "ai.onnx.ml")), draw.randrange(30))
        )
    else:
        model.producer_name = draw.choice(("\x1b[31m", "[red]", "::error::x", "é" * 5000))


def with_manifest(whole: bytes, key: str, count: int, seed: int = 0) -> Iterator[bytes]:
    """Models with one value of the manifest changed, or with the manifest's text damaged."""
    model = onnx.load_from_string(whole)
    entry = next(p for p in model.metadata_props if p.key == key)
    text, draw = entry.value, random.Random(seed)
    for content in islice(changed(json.loads(text), count, seed), count):
        value = content.decode()
        if draw.random() < 0.2:
            at = draw.randrange(len(text))
            value = text[:at] + str(draw.choice(VALUES)) + text[at + draw.randrange(20) :]
        entry.value = value.encode("utf-8", "replace").decode()
        yield model.SerializeToString()
