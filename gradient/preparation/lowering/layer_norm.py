"""Layer normalisations that onnxruntime's optimiser fuses, as standard ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .registry import Writer, lowering


@lowering("LayerNormalization")
def layer_normalization(w: Writer) -> Sequence[str | None]:
    """The standard's own, in a model whose opset does not have it yet."""
    inputs = [w.input(k) for k in range(3) if w.has(k)]
    return [w.emit("LayerNormalization", *inputs, axis=w.get("axis", -1), epsilon=w.get("epsilon", 1e-5))]


@lowering("SimplifiedLayerNormalization")
def simplified_layer_normalization(w: Writer) -> Sequence[str | None]:
    """y = x g / (mean of x^2 + e)^(1/2), over the last dimension.

    Raises:
        UnsupportedOperator: it is over several dimensions.
    """
    if w.get("axis", -1) != -1 and w.rank(1) != 1:
        raise w.refusal("it is over several dimensions")
    return [_root_mean_square(w, w.input(0), w.input(1), w.get("epsilon", 1e-5))]


@lowering("SkipLayerNormalization")
def skip_layer_normalization(w: Writer) -> Sequence[str | None]:
    """Layer normalisation of x + s + b, over the last dimension; the sum is the fourth output."""
    total = _total(w, 4)
    shift = [w.input(3)] if w.has(3) else []
    norm = {"axis": -1, "epsilon": w.get("epsilon", 1e-12)}
    return [w.emit("LayerNormalization", total, w.input(2), *shift, **norm), None, None, total]


@lowering("SkipSimplifiedLayerNormalization")
def skip_simplified_layer_normalization(w: Writer) -> Sequence[str | None]:
    """Simplified layer normalisation of x + s + b; the sum is the fourth output."""
    total = _total(w, 3)
    return [_root_mean_square(w, total, w.input(2), w.get("epsilon", 1e-12)), None, None, total]


def _total(w: Writer, bias: int) -> str:
    total = w.emit("Add", w.input(0), w.input(1))
    return w.emit("Add", total, w.input(bias)) if w.has(bias) else total


def _root_mean_square(w: Writer, x: str, gain: str, epsilon: float) -> str:
    square = w.emit("ReduceMean", w.emit("Mul", x, x), np.array([-1]))
    size = w.emit("Sqrt", w.emit("Add", square, float(epsilon)))
    return w.emit("Mul", w.emit("Div", x, size), gain)
