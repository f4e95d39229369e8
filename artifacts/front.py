"""Nodes in front of a graph that make what it takes of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .entry import INTEGERS, Entry
from .graph import replace_nodes
from .head import ONE_AXIS, STANDARD

WHOLE = "vivavoce/whole"
"""What the names of nodes begin with that round pixels to whole numbers; gradients pass them unchanged."""
LEAKY = "vivavoce/leaky"
"""What the names of nodes begin with whose saturation must not stop a gradient: the last Tanh or Sigmoid of a
network that predicts bits."""
CLIP_HAS_INPUTS = 11
"""The opset from which Clip has its bounds as inputs."""


def prepend(model: onnx.ModelProto, entrance: str, entry: Entry) -> None:
    """Put `image` and the preprocessing nodes before the model's own input, in place."""
    graph, nodes, current = model.graph, [], "image"
    opset = next((o.version for o in model.opset_import if o.domain in STANDARD), ONE_AXIS)

    def step(operator: str, *constants: np.ndarray, stem: str = "vivavoce", **attributes: Any) -> None:
        nonlocal current
        made = f"{stem}/{operator.lower()}_{len(nodes)}"
        names = [f"{made}_{k}" for k in range(len(constants))]
        graph.initializer.extend(numpy_helper.from_array(a, n) for a, n in zip(constants, names, strict=True))
        nodes.append(helper.make_node(operator, [current, *names], [made], name=made, **attributes))
        current = made

    def column(values: Sequence[float]) -> np.ndarray:
        return np.array(values, np.float32).reshape(1, -1, 1, 1)

    if entry.scale != 1:
        step("Mul", np.array(entry.scale, np.float32))
    if any(entry.mean):
        step("Sub", column(entry.mean))
    if any(s != 1 for s in entry.std):
        step("Div", column(entry.std))
    if entry.reverse:
        step("Gather", np.arange(entry.channels)[::-1].astype(np.int64), axis=1)
    if entry.nhwc:
        step("Transpose", perm=[0, 2, 3, 1])
    if entry.shape is not None:
        step("Reshape", np.array(entry.shape, np.int64))
    if entry.whole:
        step("Add", np.array(0.5, np.float32))
        ends = bounds(entry)
        if ends and opset < CLIP_HAS_INPUTS:
            step("Clip", min=ends[0], max=ends[1])
        elif ends:
            step("Clip", *(np.array(end, np.float32) for end in ends))
        step("Floor", stem=WHOLE)
    if entry.element != TensorProto.FLOAT:
        step("Cast", stem=WHOLE if entry.whole else "vivavoce", to=entry.element)
    nodes.append(helper.make_node("Identity", [current], [entrance], name="vivavoce/input"))
    replace_nodes(graph, [*nodes, *graph.node])
    kept = [v for v in graph.input if v.name != entrance]
    del graph.input[:]
    shape = [entry.batch, entry.channels, entry.height, entry.width]
    graph.input.extend([helper.make_tensor_value_info("image", TensorProto.FLOAT, shape), *kept])


def bounds(entry: Entry) -> tuple[float, float] | None:
    """Where numbers must end before they are rounded down; None: no image leaves the type's range."""
    info = INTEGERS[entry.element]
    ranges = [((0 - m) / s, (entry.scale - m) / s) for m, s in zip(entry.mean, entry.std, strict=True)]
    if min(low for low, _ in ranges) >= info.min and max(high for _, high in ranges) <= info.max:
        return None
    return float(info.min) + 0.25, float(info.max) + 0.75
