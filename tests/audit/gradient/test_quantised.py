"""Int8 files made by onnxruntime's own quantiser: the estimated gradient against the float model's."""

import logging
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from networks import network, to_onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

from vivavoce.audit.gradient import InputGradient, support

COUNT = 256


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


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """ResNet-32: float, QDQ, QOperator, dynamic."""
    folder = tmp_path_factory.mktemp("quantised")
    paths = {kind: folder / f"{kind}.onnx" for kind in ("float", "qdq", "channels", "qoperator", "dynamic")}
    onnx.save(to_onnx(network("resnet32")), paths["float"])
    logging.disable(logging.WARNING)
    styles = {"qdq": QuantFormat.QDQ, "channels": QuantFormat.QDQ, "qoperator": QuantFormat.QOperator}
    for kind, style in styles.items():
        quantize_static(
            paths["float"], paths[kind], Images(), style, per_channel=kind == "channels",
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        )  # fmt: skip
    quantize_dynamic(paths["float"], paths["dynamic"], weight_type=QuantType.QUInt8)
    logging.disable(logging.NOTSET)
    return paths


@pytest.fixture(scope="module")
def reference(files, images) -> np.ndarray:
    return InputGradient(onnx.load(files["float"]), "cross-entropy", threads=2)(*images)[1].reshape(COUNT, -1)


@pytest.mark.parametrize("kind", ["qdq", "channels", "qoperator", "dynamic"])
def test_the_estimate_points_where_the_float_gradient_does(files, images, reference, kind):
    model = onnx.load(files[kind])
    _, gradient, scores = InputGradient(model, "cross-entropy", threads=2)(*images)
    flat = gradient.reshape(COUNT, -1)
    cosine = (flat * reference).sum(1) / np.linalg.norm(flat, axis=1) / np.linalg.norm(reference, axis=1)
    assert np.median(cosine) >= 0.9, np.median(cosine)
    session = onnxruntime.InferenceSession(files[kind], providers=["CPUExecutionProvider"])
    np.testing.assert_array_equal(scores, session.run(["scores"], {"image": images[0]})[0])


@pytest.mark.parametrize("kind", ["qdq", "qoperator", "dynamic"])
def test_it_is_called_an_estimate(files, kind):
    found = support(onnx.load(files[kind]))
    assert {entry.status for entry in found} == {"exact", "estimated"}
    assert all("straight-through" in entry.reason for entry in found if entry.status == "estimated")
