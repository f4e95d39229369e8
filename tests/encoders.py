"""Encoders for the tests of label banks: small graphs whose embeddings are known."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE, WIDTH = 6, 12
WEIGHTS = np.random.default_rng(0).normal(0, 0.3, (3 * SIDE * SIDE, WIDTH)).astype(np.float32)


def images(count: int, seed: int = 1) -> np.ndarray:
    """Random images [N, 3, SIDE, SIDE] in 0..1."""
    return np.random.default_rng(seed).random((count, 3, SIDE, SIDE), dtype=np.float32)


def embedded(pictures: np.ndarray) -> np.ndarray:
    """What `save_encoder` gives for images, in float64."""
    return np.tanh(pictures.reshape(len(pictures), -1).astype(np.float64) @ WEIGHTS)


def save_encoder(
    path: Path,
    batch: int | str = "N",
    opset: int = 17,
    shape: tuple[int, ...] = (WIDTH,),
    further: bool = False,
) -> Path:
    """An ONNX file that gives tanh(x W) as embeddings of a shape; with `further` also other outputs."""
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["label"]),  # a name that the contract uses too
        helper.make_node("Tanh", ["label"], ["image_embeds" if shape == (WIDTH,) else "rows"]),
    ]
    held = [numpy_helper.from_array(WEIGHTS, "w")]
    if shape != (WIDTH,):
        nodes.append(helper.make_node("Reshape", ["rows", "shape"], ["image_embeds"]))
        held.append(numpy_helper.from_array(np.array([-1, *shape]), "shape"))
    outputs = [helper.make_tensor_value_info("image_embeds", TensorProto.FLOAT, [batch, *shape])]
    if further:
        nodes.append(helper.make_node("Identity", ["flat"], ["last_hidden_state"]))
        nodes.append(helper.make_node("Identity", ["flat"], ["loss"]))
        for name in ("last_hidden_state", "loss"):
            info = helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, WEIGHTS.shape[0]])
            outputs.insert(0, info)
    entry = helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, SIDE, SIDE])
    graph = helper.make_graph(nodes, "encoder", [entry], outputs, held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.save(model, path)
    return path


def save_bank(path: Path, rows: np.ndarray, classes: list[str] | None = None) -> Path:
    """A bank as users save one."""
    names = classes or [f"class {k}" for k in range(len(rows))]
    np.savez(path, bank=rows, classes=np.array(names))
    return path
