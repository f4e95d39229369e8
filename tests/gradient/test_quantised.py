"""Int8 files made by onnxruntime's own quantiser: the estimated gradient against the float model's."""

import copy
import logging
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from networks import network, to_onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

from vivavoce.gradient import InputGradient, support

COUNT = 128


class Images(CalibrationDataReader):
    """Random images to calibrate with."""

    def __init__(self) -> None:
        rng = np.random.default_rng(1)
        self.batches = iter([{"image": rng.random((16, 3, 32, 32), dtype=np.float32)} for _ in range(3)])

    def get_next(self) -> dict:
        return next(self.batches, {})


@pytest.fixture(scope="module")
def images() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    return rng.random((COUNT, 3, 32, 32), dtype=np.float32), rng.integers(0, 10, COUNT)


def undecided(module: torch.nn.Module) -> torch.nn.Module:
    """A copy without a favourite class, so that its decisions differ from image to image."""
    module = copy.deepcopy(module)
    head = module.get_submodule("1")
    images = torch.rand(256, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        mean = module(images).mean(0)
        head.get_parameter("bias").sub_(mean)
    return module


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """ResNet-32: float; QDQ and QOperator, per tensor and per channel; dynamic."""
    folder = tmp_path_factory.mktemp("quantised")
    kinds = ("float", "qdq", "qdq-channels", "qoperator", "qoperator-channels", "dynamic")
    paths = {kind: folder / f"{kind}.onnx" for kind in kinds}
    onnx.save(to_onnx(undecided(network("resnet32"))), paths["float"])
    logging.disable(logging.WARNING)
    for kind in kinds[1:-1]:
        style = QuantFormat.QDQ if kind.startswith("qdq") else QuantFormat.QOperator
        quantize_static(
            paths["float"], paths[kind], Images(), style, per_channel=kind.endswith("channels"),
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        )  # fmt: skip
    quantize_dynamic(paths["float"], paths["dynamic"], weight_type=QuantType.QUInt8)
    logging.disable(logging.NOTSET)
    return paths


@pytest.fixture(scope="module")
def reference(files, images) -> np.ndarray:
    return InputGradient(onnx.load(files["float"]), "cross-entropy", threads=2)(*images)[1].reshape(COUNT, -1)


@pytest.mark.parametrize("kind", ["qdq", "qdq-channels", "qoperator", "qoperator-channels", "dynamic"])
def test_the_estimate_points_where_the_float_gradient_does(files, images, reference, kind):
    model = onnx.load(files[kind])
    _, gradient, scores = InputGradient(model, "cross-entropy", threads=2)(*images)
    flat = gradient.reshape(COUNT, -1)
    cosine = (flat * reference).sum(1) / np.linalg.norm(flat, axis=1) / np.linalg.norm(reference, axis=1)
    assert np.median(cosine) >= 0.9, np.median(cosine)
    session = onnxruntime.InferenceSession(files[kind], providers=["CPUExecutionProvider"])
    np.testing.assert_array_equal(scores, session.run(["scores"], {"image": images[0]})[0])


def success(path: Path, images: np.ndarray, steps: int, epsilon: float = 0.5 / 255) -> float:
    """Share of the images whose decision so many steps of projected gradient ascent change."""
    gradient = InputGradient(onnx.load(path), "cross-entropy", threads=2)
    goals = gradient(images, np.zeros(len(images), np.int64))[2].argmax(1)
    x, low, high = images, np.maximum(images - epsilon, 0), np.minimum(images + epsilon, 1)
    for _ in range(steps):
        x = np.clip(x + epsilon / 4 * np.sign(gradient(x, goals)[1]), low, high)
    return float((gradient(x, goals)[2].argmax(1) != goals).mean())


@pytest.mark.parametrize(
    ("kind", "steps"),
    [("qdq", 4), *(pytest.param(kind, 10, marks=pytest.mark.full) for kind in ("qdq", "qoperator"))],
)
def test_an_attack_on_the_int8_file_loses_little(kind, steps, files, images):
    whole = success(files["float"], images[0], steps)
    assert 0.05 < whole < 0.95, whole
    assert success(files[kind], images[0], steps) >= whole - 0.02


@pytest.mark.parametrize("kind", ["qdq", "qoperator", "dynamic"])
def test_it_is_called_an_estimate(files, kind):
    found = support(onnx.load(files[kind]))
    assert {entry.status for entry in found} == {"exact", "estimated"}
    assert all("straight-through" in entry.reason for entry in found if entry.status == "estimated")
