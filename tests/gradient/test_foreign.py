"""Models of other frameworks against the gradients that those frameworks found (tests/fixtures)."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from vivavoce.gradient import InputGradient

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"


@pytest.mark.parametrize("name", ["keras_nhwc", "sklearn_mlp"])
def test_gradient(name):
    model = onnx.load(FIXTURES / f"{name}.onnx")
    scores = model.graph.output[-1].name
    truth = np.load(FIXTURES / f"{name}.npz")
    gradient = InputGradient(model, "cross-entropy", scores=scores, threads=1)
    loss, found, _ = gradient(truth["images"], truth["goals"])
    np.testing.assert_allclose(loss, truth["loss"], rtol=1e-4)
    exact = truth["gradient"]
    error = np.linalg.norm((found - exact).reshape(len(exact), -1), axis=1)
    assert np.median(error / np.linalg.norm(exact.reshape(len(exact), -1), axis=1)) <= 1e-5
