"""Whether a prepared graph computes what the file does: its scores against the file's.

Both are the same sums in different orders: onnxruntime fuses other operators where the gradient needs
the values in between, and lays convolutions out in blocks. What rounding makes of that grows with the
size of the scores, so differences are measured against how far an image's scores lie apart. In float32
they stay around 1e-5 of that; a graph that means something else differs by several percent or more.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

FLOAT32 = 1e-3
"""Largest difference that counts as rounding, as a share of the spread of an image's scores."""
TF32 = 1e-2
"""On a GPU, where onnxruntime multiplies with 10 bits of mantissa."""
HALF = 0.05
"""For a file that computes in half precision: 10 bits, rounded after every operator."""
BFLOAT = 0.3
"""For one in bfloat16: 7 bits."""
INTEGER = 1.0
"""For a quantised file: its integers differ by one here and there, and dozens of layers add up (ResNet-32
without training, int8: a quarter of the spread in the median, 0.58 at most of 64 images)."""

ULPS = 1e-5
"""Of the scores' size: a large number that all scores have in common is rounded too."""


SHARE = 0.1
"""Of the images: a score may jump where rounding crosses a step inside the model, but seldom."""


def tolerance(model: onnx.ModelProto, device: str, quantised: bool) -> float:
    """How far a file's scores may be from the prepared graph's, as a share of their spread.

    Args:
        model: the file's graph, before it was prepared.
        device: where it runs, `cpu` or `cuda`.
        quantised: whether it has operators on integers.
    """
    if quantised:
        return INTEGER
    kinds = {t.data_type for t in model.graph.initializer}
    kinds |= {a.i for n in model.graph.node if n.op_type == "Cast" for a in n.attribute if a.name == "to"}
    kinds |= {v.type.tensor_type.elem_type for v in (*model.graph.input, *model.graph.output)}
    if TensorProto.BFLOAT16 in kinds:
        return BFLOAT
    if TensorProto.FLOAT16 in kinds:
        return HALF
    return TF32 if device == "cuda" else FLOAT32


def strayed(own: np.ndarray, file: np.ndarray, limit: float) -> np.ndarray:
    """Which images the prepared graph scores otherwise than the file.

    Scores of the file that are not finite say nothing and are left out.

    Args:
        own: scores of the prepared graph, float32 [N, K].
        file: those of the file on the same images.
        limit: from `tolerance`.

    Returns:
        bool [N].
    """
    known = np.isfinite(file)
    exact = np.where(known, file, 0).astype(np.float64)
    high, low = np.where(known, file, -np.inf).max(1), np.where(known, file, np.inf).min(1)
    spread = np.where(known.any(1), high - low, 0).astype(np.float64)
    allowed = limit * np.maximum(spread, np.median(spread)) + ULPS * np.abs(exact).max(1)
    gap = np.abs(np.where(known, own, 0).astype(np.float64) - exact).max(1)
    return ~(gap <= allowed + np.finfo(np.float32).tiny)
