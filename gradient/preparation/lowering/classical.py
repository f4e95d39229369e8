"""The linear operators of ai.onnx.ml, which scikit-learn's exporter writes, as standard ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .registry import Writer, lowering

ML = "ai.onnx.ml"


@lowering("Scaler", domain=ML)
def scaler(w: Writer) -> Sequence[str]:
    """y = (x - offset) scale."""
    x = w.emit("Cast", w.input(0), to=1)
    moved = w.emit("Sub", x, np.array(w.get("offset", [0.0]), np.float32))
    return [w.emit("Mul", moved, np.array(w.get("scale", [1.0]), np.float32))]


@lowering("Normalizer", domain=ML)
def normalizer(w: Writer) -> Sequence[str]:
    """y = x / n, n the largest entry (MAX), the sum of sizes (L1) or the length (L2) of a row; 1 for 0."""
    x, axes = w.emit("Cast", w.input(0), to=1), np.array([-1])
    norm = w.get("norm", "MAX")
    if norm == "MAX":
        size = w.emit("ReduceMax", x, axes)
    else:
        size = w.emit("ReduceL1" if norm == "L1" else "ReduceL2", x, axes)
    zero = w.emit("Equal", size, float(0))
    return [w.emit("Div", x, w.emit("Where", zero, float(1), size))]


@lowering("LinearClassifier", domain=ML)
def linear_classifier(w: Writer) -> Sequence[str | None]:
    """Scores W x + b, then the post-transform; one row with two labels stands for [1 - s, s]."""
    labels = w.get("classlabels_ints", []) or w.get("classlabels_strings", [])
    bias = np.array(w.get("intercepts", [0.0]), np.float32)
    scores = _product(w, bias)
    if len(bias) > 1 or len(labels) != 2:
        return [None, transformed(w, scores)]
    if w.get("post_transform", "NONE") == "LOGISTIC":
        scores = w.emit("Sigmoid", scores)
    return [None, w.emit("Concat", w.emit("Sub", float(1), scores), scores, axis=-1)]


@lowering("LinearRegressor", domain=ML)
def linear_regressor(w: Writer) -> Sequence[str]:
    """Y = W x + b, then the post-transform."""
    targets = w.get("targets", 1)
    return [transformed(w, _product(w, np.array(w.get("intercepts", [0.0] * targets), np.float32)))]


def _product(w: Writer, bias: np.ndarray) -> str:
    """Rows [N, F] times coefficients [K, F], plus a bias [K]."""
    weight = np.array(w.get("coefficients", []), np.float32).reshape(len(bias), -1)
    return w.emit("Gemm", w.emit("Cast", w.input(0), to=1), weight, bias, transB=1)


def transformed(w: Writer, scores: str) -> str:
    """Scores [N, K] after the node's `post_transform`.

    Raises:
        UnsupportedOperator: it is PROBIT or SOFTMAX_ZERO.
    """
    name = w.get("post_transform", "NONE")
    if name == "NONE":
        return scores
    if name == "LOGISTIC":
        return w.emit("Sigmoid", scores)
    if name == "SOFTMAX":
        return w.emit("Softmax", scores, axis=-1)
    raise w.refusal(f"its post-transform {name} has no rule; export the model with raw scores")


@lowering("ArrayFeatureExtractor", domain=ML)
def array_feature_extractor(w: Writer) -> Sequence[str]:
    """Y = the columns of x that the indices name; x of one dimension counts as one row."""
    indices = w.emit("Reshape", w.input(1), np.array([-1]))
    x = w.emit("Reshape", w.input(0), np.array([1, -1])) if w.rank(0) == 1 else w.input(0)
    return [w.emit("Gather", x, indices, axis=-1)]


@lowering("Imputer", domain=ML)
def imputer(w: Writer) -> Sequence[str]:
    """Y = x, and where x is missing the number given for its column."""
    filled = np.array(w.get("imputed_value_floats", []), np.float32)
    missing = w.get("replaced_value_float", 0.0)
    if not filled.size:
        raise w.refusal("it replaces integers")
    x = w.input(0)
    where = w.emit("IsNaN", x) if np.isnan(missing) else w.emit("Equal", x, float(missing))
    return [w.emit("Where", where, filled, x)]


@lowering("FeatureVectorizer", domain=ML)
def feature_vectorizer(w: Writer) -> Sequence[str]:
    """Y = the inputs [N, F] next to each other."""
    parts = [w.emit("Cast", name, to=1) for name in w.node.input if name]
    return [w.emit("Concat", *parts, axis=-1)]
