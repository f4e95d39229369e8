"""A linear classifier of the digits: an audit of it takes a second, where a network takes ten."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from vivavoce.artifacts import open_model
from vivavoce.images import Fit, open_images
from vivavoce.images.imageset import to_float


def small_digits(path: Path, shrink: int = 2) -> Path:
    """Write it: pixels averaged over squares, and the least squares from them to the classes.

    The manifest and the names of input and output are those of `digits-category`; most digits are right.
    """
    shipped = open_model("digits-category")
    entry, images = shipped.manifest.input, open_images("digits")
    mean, std = (np.array(a, np.float32).reshape(1, 3, 1, 1) for a in (entry.mean, entry.std))
    pixels = (to_float(images.pixels(np.arange(len(images)), Fit.of(entry))) - mean) / std
    side = 32 // shrink
    features = pixels.reshape(-1, 3, side, shrink, side, shrink).mean((3, 5)).reshape(len(pixels), -1)
    wanted = np.eye(10, dtype=np.float32)[images.labels] * 2 - 1
    weight = features.T @ np.linalg.solve(features @ features.T + 30 * np.eye(len(features)), wanted)
    nodes = [
        helper.make_node("Sub", ["image", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "std"], ["input"]),
        helper.make_node(
            "AveragePool", ["input"], ["pooled"], kernel_shape=[shrink] * 2, strides=[shrink] * 2
        ),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weight", "bias"], ["scores"]),
    ]
    constants = {"mean": mean, "std": std, "weight": 5 * weight, "bias": np.zeros(10)}
    graph = helper.make_graph(
        nodes, "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 32, 32])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 10])],
        [numpy_helper.from_array(np.asarray(a, np.float32), name) for name, a in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    model.metadata_props.extend(onnx.load(shipped.path, load_external_data=False).metadata_props)
    onnx.save(model, path)
    return path
