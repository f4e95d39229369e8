"""Support vector machines of ai.onnx.ml as standard operators, as onnxruntime computes them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from .classical import ML, transformed
from .registry import Writer, lowering


@lowering("SVMClassifier", domain=ML)
def svm_classifier(w: Writer) -> Sequence[str | None]:
    """Decision values of each pair of classes, or of each class in a linear machine without support vectors.

    Two classes i, j have the value sum over their vectors of a_m k(x, v_m) + rho.

    Raises:
        UnsupportedOperator: it gives probabilities.
    """
    labels = w.get("classlabels_ints", []) or w.get("classlabels_strings", [])
    rho = np.array(w.get("rho", [0.0]), np.float32)
    counts = w.get("vectors_per_class", [])
    coefficients = np.array(w.get("coefficients", []), np.float32)
    x = w.emit("Cast", w.input(0), to=1)
    if not counts:
        weight = coefficients.reshape(len(labels), -1)
        return [None, transformed(w, w.emit("Add", w.emit("MatMul", x, weight.T), rho[0]))]
    vectors = np.array(w.get("support_vectors", []), np.float32).reshape(sum(counts), -1)
    weight = _pairs(coefficients.reshape(len(labels) - 1, -1), counts)
    values = w.emit("Add", w.emit("MatMul", kernel(w, x, vectors), weight), rho[: weight.shape[1]])
    if w.get("prob_a", []):
        raise w.refusal(
            "its probabilities are found by an iteration; export the model with probability=False, whose "
            "decision values have a gradient"
        )
    if len(labels) > 2:
        return [None, transformed(w, values)]
    name = w.get("post_transform", "NONE")
    if name not in ("NONE", "LOGISTIC"):
        raise w.refusal(f"its post-transform {name} for two classes has no rule")
    both = w.emit("Concat", w.emit("Neg", values), values, axis=-1)
    return [None, w.emit("Sigmoid", both) if name == "LOGISTIC" else both]


def _pairs(coefficients: np.ndarray, counts: Sequence[int]) -> np.ndarray:
    """Weights [vectors, pairs] of the kernel values in each pair's decision.

    Of `coefficients` [classes - 1, vectors], class i's vectors have theirs against class j > i in row j - 1,
    and class j's theirs against class i in row i.
    """
    ends = np.cumsum(counts)
    spans = [slice(end - count, end) for end, count in zip(ends, counts, strict=True)]
    pairs = list(itertools.combinations(range(len(counts)), 2))
    weight = np.zeros((coefficients.shape[1], len(pairs)), np.float32)
    for column, (i, j) in enumerate(pairs):
        weight[spans[i], column] = coefficients[j - 1, spans[i]]
        weight[spans[j], column] = coefficients[i, spans[j]]
    return weight


@lowering("SVMRegressor", domain=ML)
def svm_regressor(w: Writer) -> Sequence[str]:
    """Y = sum_m a_m k(x, v_m) + rho."""
    x, count = w.emit("Cast", w.input(0), to=1), w.get("n_supports", 0)
    weight = np.array(w.get("coefficients", []), np.float32)
    if count:
        vectors = np.array(w.get("support_vectors", []), np.float32).reshape(count, -1)
        values = w.emit("MatMul", kernel(w, x, vectors), weight.reshape(-1, 1))
    else:
        values = w.emit("MatMul", x, weight.reshape(-1, 1))
    values = w.emit("Add", values, np.array(w.get("rho", [0.0]), np.float32)[:1])
    if w.get("one_class", 0):
        raise w.refusal("it tells one class from the rest by a sign, whose derivative is zero")
    return [transformed(w, values)]


def kernel(w: Writer, x: str, vectors: np.ndarray) -> str:
    """Kernel values [N, V] of rows x [N, F] and support vectors [V, F]."""
    gamma, coef0, degree = (w.get("kernel_params", []) or [0.0, 0.0, 3.0])[:3]
    name = w.get("kernel_type", "LINEAR")
    if name == "RBF":
        square = w.emit("ReduceSumSquare", x, np.array([-1]))
        cross = w.emit("MatMul", x, (2 * vectors.astype(np.float64)).T)
        lengths = (vectors.astype(np.float64) ** 2).sum(1)
        distance = w.emit("Sub", w.emit("Add", square, lengths), cross)
        return w.emit("Exp", w.emit("Mul", distance, float(-gamma)))
    product = w.emit("MatMul", x, vectors.T)
    if name == "LINEAR":
        return product
    moved = w.emit("Add", w.emit("Mul", product, float(gamma)), float(coef0))
    return w.emit("Tanh", moved) if name == "SIGMOID" else w.emit("Pow", moved, float(degree))
