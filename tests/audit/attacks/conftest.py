"""Small models to attack: nothing here takes longer than its import."""

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, quantize_static

from vivavoce.artifacts import decide, open_model
from vivavoce.audit.attacks.base import Ball
from vivavoce.audit.target import Target
from vivavoce.export.build import export_run
from vivavoce.images import Fit, open_images
from vivavoce.images.imageset import to_float

SHAPE = (3, 6, 6)
NORMS = ["linf", "l2"]


def write_classifier(
    path: Path,
    classes: int = 5,
    batch: int | str = "N",
    hidden: int = 24,
    step: str | None = None,
    scale: float = 1,
    final_relu: bool = False,
) -> Path:
    """A network of random weights with one hidden layer.

    `step`: an operator in front that has no slope; `scale`: of the scores, how sure the network is;
    `final_relu`: cut negative scores off, as some verified networks do.
    """
    rng = np.random.default_rng(3)
    size = int(np.prod(SHAPE))
    constants = {
        "w1": rng.normal(0, 2 / np.sqrt(size), (size, hidden)).astype(np.float32),
        "b1": rng.normal(0, 0.3, hidden).astype(np.float32),
        "w2": (scale * rng.normal(0, 2 / np.sqrt(hidden), (hidden, classes))).astype(np.float32),
    }
    nodes = [
        helper.make_node(step or "Identity", ["input"], ["stepped"]),
        helper.make_node("Flatten", ["stepped"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w1", "b1"], ["pre"]),
        helper.make_node("Relu", ["pre"], ["hid"]),
        helper.make_node("MatMul", ["hid", "w2"], ["last"]),
        helper.make_node("Relu" if final_relu else "Identity", ["last"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes, "tiny",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, *SHAPE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, classes])],
        [numpy_helper.from_array(a, name) for name, a in constants.items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)
    return path


class Calibration(CalibrationDataReader):
    def __init__(self) -> None:
        images = np.random.default_rng(0).random((8, 1, *SHAPE), dtype=np.float32)
        self.feeds = iter([{"input": image} for image in images])

    def get_next(self) -> dict:
        return next(self.feeds, {})


@pytest.fixture(scope="session")
def open_tiny(tmp_path_factory) -> Callable[..., Target]:
    """Open a small classifier: `kind` is dynamic, fixed (batch 3) or int8; more as in `write_classifier`."""

    @functools.cache
    def write(kind: str, **options) -> Path:
        folder = tmp_path_factory.mktemp("tiny")
        path = write_classifier(folder / "model.onnx", batch=3 if kind == "fixed" else "N", **options)
        if kind != "int8":
            return path
        quantize_static(path, folder / "int8.onnx", Calibration())
        return folder / "int8.onnx"

    def build(kind: str = "dynamic", **options) -> Target:
        return Target(open_model(write(kind, **options)))

    return build


@pytest.fixture(scope="session")
def digits_pt(tmp_path_factory, runs) -> Path:
    """The TorchScript twin of digits-category."""
    path = tmp_path_factory.mktemp("twin") / "digits-category.pt"
    export_run(runs / "digits-category", path)
    return path


@pytest.fixture(scope="session")
def tiny_images() -> np.ndarray:
    return np.random.default_rng(1).random((8, *SHAPE), dtype=np.float32)


@pytest.fixture(scope="session")
def digits() -> Callable[[Target, int], tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The first `count` of every few digits that the target gets right: images, labels, indices."""
    images = open_images("digits")

    def choose(target: Target, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        indices = np.arange(0, 360, max(300 // count, 1))
        pixels = to_float(images.pixels(indices, Fit(32, 32)))
        right = np.flatnonzero(decide(target.answer(pixels).scores) == images.labels[indices])[:count]
        return pixels[right], images.labels[indices[right]], indices[right]

    return choose


def ball(norm, radius: float, channels: int = 3) -> Ball:
    """Of one half-width or radius."""
    shape = (channels, 1, 1) if norm == "linf" else (1, 1, 1)
    return Ball(norm, np.full(shape, radius, np.float32))
