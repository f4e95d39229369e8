"""What a graph does to the image before its first layer, found by one probe per channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx

from .graph import consumed, part
from .runtime import make_session

if TYPE_CHECKING:
    import onnxruntime

MOVES = {"Identity", "Cast", "Transpose", "Concat", "Split", "Slice", "Gather", "Unsqueeze", "Squeeze",
         "Reshape", "Flatten", "Dropout"}  # fmt: skip
"""Operators that move or convert numbers."""
AFFINE = {"Add", "Sub", "Mul", "Div", "Neg"}
"""Operators that are affine where one operand does not come from the image."""
MEASURES = {"Shape", "Size"}
"""Operators that read no pixel."""


@dataclass(frozen=True)
class Affine:
    """What becomes of each channel, but for an offset."""

    gain: tuple[float, ...]
    """Magnitude of its factor."""


def read_normalisation(model: onnx.ModelProto, channels: int, height: int, width: int) -> Affine | None:
    """Read the normalisation from a graph with the input `image`, whatever operators it is written with.

    Returns:
        The gain per channel, in the order of the input; None where the graph has no operator of the
        kind (the first layer has taken it in), or it is not the same for all pixels of a channel.
    """
    value = _before_first_layer(model.graph)
    if value is None:
        return None
    inputs = {v.name: v for v in model.graph.input}
    pinned = inputs["image"].type.tensor_type.shape.dim[0].dim_value
    black = np.zeros((max(pinned, 1), channels, height, width), np.float32)
    try:
        session = make_session(_cut(model, value).SerializeToString())
        base = _run(session, black)
        rows = []
        for channel in range(channels):
            probe = black.copy()
            probe[:, channel] = 1
            rows.append(_run(session, probe) - base)
    except Exception:  # onnxruntime's exceptions share no base class; what does not run cannot be read
        return None
    return _per_channel(np.stack(rows))


def _per_channel(change: np.ndarray) -> Affine | None:
    """Gains from the changes [C, entries] that a step of 1 in each channel makes."""
    gains = []
    for row in change:
        touched = row[np.abs(row) > 1e-9 * np.abs(change).max()]
        if not touched.size or np.ptp(touched) > 1e-2 * np.abs(touched).max():
            return None
        gains.append(float(np.abs(np.median(touched))))
    return Affine(tuple(gains))


def _before_first_layer(graph: onnx.GraphProto) -> str | None:
    """The last value that is affine in each pixel, where an operator has made it so."""
    touched, scaled, others = {"image"}, set(), set()
    for node in graph.node:
        inputs = consumed(node)
        if not inputs & (touched | others) or (not node.domain and node.op_type in MEASURES):
            continue
        operands = [name for name in node.input if name in touched | others]
        plain = not node.domain and not others & inputs and inputs <= set(node.input)
        if (
            plain
            and node.op_type in AFFINE
            and len(operands) == 1
            and node.op_type + str(list(node.input).index(operands[0])) != "Div1"
        ):
            touched.update(node.output)
            scaled.update(node.output)
        elif plain and node.op_type in MOVES:
            touched.update(node.output)
            if scaled & inputs:
                scaled.update(node.output)
        else:
            layer = inputs & touched
            if layer:
                return next(iter(sorted(layer & scaled)), None)
            others.update(node.output)
    return None


def _cut(model: onnx.ModelProto, value: str) -> onnx.ModelProto:
    """The part of a model that makes one of its values."""
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    if all(o.name != value for o in whole.graph.output):
        whole.graph.output.append(onnx.ValueInfoProto(name=value))
    return part(whole, [value], ["image"])


def _run(session: onnxruntime.InferenceSession, images: np.ndarray) -> np.ndarray:
    return np.asarray(session.run(None, {"image": images})[0], np.float64).ravel()
