"""Classifiers of scikit-learn, exported by skl2onnx, against differences of their own float64 scores."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from vivavoce.artifacts import open_model
from vivavoce.gradient import open_gradient

pytest.importorskip("skl2onnx")
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler
from sklearn.svm import SVC, LinearSVC

pytestmark = pytest.mark.filterwarnings("ignore")
rng = np.random.default_rng(0)
X = rng.random((80, 16))
Y = np.argmax((X - 0.5) @ rng.standard_normal((16, 3)), 1)
NAMES = np.array(["ant", "bee", "cat"])

MODELS: dict[str, Callable] = {
    "logistic": lambda: LogisticRegression(),
    "scaled": lambda: make_pipeline(StandardScaler(), LogisticRegression()),
    "normalised": lambda: make_pipeline(Normalizer(), LogisticRegression(C=10)),
    "ridge": lambda: RidgeClassifier(),
    "linear-svc": lambda: LinearSVC(),
    "svc-rbf": lambda: SVC(),
    "svc-poly": lambda: SVC(kernel="poly"),
    "mlp": lambda: MLPClassifier((8,), max_iter=20, random_state=0),
}


def scores_of(model, x: np.ndarray) -> np.ndarray:
    """Logits, up to a constant for each image."""
    return (
        model.decision_function(x) if hasattr(model, "decision_function") else np.log(model.predict_proba(x))
    )


def differences(model, x: np.ndarray, goals: np.ndarray) -> np.ndarray:
    """Gradient of cross-entropy by central differences of fourth order."""

    def loss(at: np.ndarray) -> np.ndarray:
        scores = scores_of(model, at)
        return (
            np.log(np.exp(scores - scores.max(1, keepdims=True)).sum(1))
            + scores.max(1)
            - scores[np.arange(len(at)), goals]
        )

    found = np.zeros_like(x)
    for k in range(x.shape[1]):
        step = np.eye(x.shape[1])[k] * 1e-4
        near, far = (loss(x + n * step) - loss(x - n * step) for n in (1, 2))
        found[:, k] = (8 * near - far) / (12 * 1e-4)
    return found


@pytest.mark.parametrize("name", MODELS)
def test_gradient(tmp_path: Path, name):
    model = MODELS[name]().fit(X, NAMES[Y])
    path = tmp_path / "model.onnx"
    exported = to_onnx(model, X[:1].astype(np.float32))
    assert isinstance(exported, onnx.ModelProto)
    onnx.save(exported, path)
    images, goals = X[:5].astype(np.float32), np.arange(5) % 3
    opened = open_model(path)
    assert opened.manifest.classes == tuple(NAMES)
    scores = opened.answer(images.reshape(-1, 1, 4, 4)).scores
    assert NAMES[scores.argmax(1)].tolist() == model.predict(images).tolist()
    _, found, _ = open_gradient(opened)(images.reshape(-1, 1, 4, 4), goals)
    exact = differences(model, images.astype(np.float64), goals)
    error = np.linalg.norm(found.reshape(5, -1) - exact, axis=1) / np.linalg.norm(exact, axis=1)
    assert error.max() <= 1e-5, error
