"""Int8 files as onnxruntime's optimiser leaves them: the scores and the gradient of the file from before."""

import logging

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from networks import to_onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
from torch import nn
from torch.nn import functional

from vivavoce.gradient import InputGradient

rng = np.random.default_rng(4)
IMAGES, GOALS = rng.random((3, 3, 8, 8), dtype=np.float32), np.array([0, 1, 2])


class Images(CalibrationDataReader):
    """Random images to calibrate with."""

    def __init__(self):
        self.batches = iter([{"image": rng.random((8, 3, 8, 8), dtype=np.float32)} for _ in range(2)])

    def get_next(self):
        return next(self.batches, {})


class Network(nn.Module):
    """Every operator on images that has a quantised version with channels last."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(16, 3)

    def forward(self, image):
        x = functional.max_pool2d(self.first(image).relu(), 2)
        y = functional.leaky_relu(self.second(x)) + x
        pooled = functional.adaptive_avg_pool2d(functional.avg_pool2d(y, 2), 1)
        gate = functional.adaptive_avg_pool2d(x.sigmoid(), 1)
        return self.head(torch.cat([pooled, gate], 1).flatten(1)).softmax(1).log()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The network as QDQ and QOperator."""
    torch.manual_seed(0)
    made = tmp_path_factory.mktemp("optimised")
    onnx.save(to_onnx(Network().eval(), size=8), made / "float.onnx")
    logging.disable(logging.WARNING)
    for name, style in (("qdq", QuantFormat.QDQ), ("qoperator", QuantFormat.QOperator)):
        quantize_static(made / "float.onnx", made / f"{name}.onnx", Images(), style)
    logging.disable(logging.NOTSET)
    return made


def gradient(path):
    _, found, scores = InputGradient(onnx.load(path), "cross-entropy", threads=1)(IMAGES, GOALS)
    return found, scores


@pytest.mark.parametrize("level", ["EXTENDED", "ALL"])
@pytest.mark.parametrize("name", ["qdq", "qoperator"])
def test_the_optimised_file_has_the_gradient_of_the_one_before(folder, name, level):
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, f"ORT_ENABLE_{level}")
    options.optimized_model_filepath = str(folder / f"{name}.{level}.onnx")
    onnxruntime.InferenceSession(folder / f"{name}.onnx", options, providers=["CPUExecutionProvider"])
    nodes = onnx.load(options.optimized_model_filepath).graph.node
    kinds = {node.op_type for node in nodes if node.domain == "com.microsoft"}
    assert {"QGemm", "QLinearConcat", "QLinearLeakyRelu"} <= kinds
    assert level == "EXTENDED" or "QLinearConv" in kinds
    assert level == "EXTENDED" or name == "qdq" or "NhwcMaxPool" in kinds
    found, scores = gradient(options.optimized_model_filepath)
    expected, before = gradient(folder / f"{name}.onnx")
    np.testing.assert_allclose(scores, before, atol=0.05)
    cosine = (found * expected).sum() / np.linalg.norm(found) / np.linalg.norm(expected)
    assert cosine >= 0.999, (cosine, sorted(kinds))
