"""What stands between a classifier's logits and its output without changing decisions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import onnx
from onnx import TensorProto

STANDARD = ("", "ai.onnx")
FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)
ONE_AXIS = 13
"""The opset from which Softmax runs over one axis; before, over that axis and all behind it."""

_RESHAPING = frozenset(["Reshape", "Flatten", "Squeeze", "Unsqueeze"])
"""Operators that keep the order of the entries."""


def final_softmax(
    maker: Mapping[str, onnx.NodeProto],
    output: str,
    opset: int,
    classes: int,
    shape_of: Callable[[str], Sequence[int | None] | None],
) -> list[onnx.NodeProto]:
    """The Softmax or LogSoftmax that made the scores, and the nodes from there to the output.

    Only one over exactly the classes of each image counts: it keeps the order of an image's scores. One
    over the batch, or over parts of the classes, decides.

    Args:
        maker: the node that makes each value.
        output: the value with the scores [N, classes].
        opset: version of the standard operators.
        classes: K.
        shape_of: the shape of a value, with None for sizes that are not known, or None.

    Returns:
        The nodes in order, the softmax first; none if there is no such softmax.
    """
    chain: list[onnx.NodeProto] = []
    name = output
    while (node := maker.get(name)) is not None and node.domain in STANDARD:
        chain.insert(0, node)
        if node.op_type in ("Softmax", "LogSoftmax"):
            reshaped = any(after.op_type in _RESHAPING for after in chain)
            shape = shape_of(node.input[0] if reshaped else output)
            return chain if shape is not None and _over_classes(node, opset, shape, classes) else []
        if not _passing(node):
            break
        name = node.input[0]
    return []


def _passing(node: onnx.NodeProto) -> bool:
    if node.op_type == "Cast":
        return any(a.name == "to" and a.i in FLOATS for a in node.attribute)
    return node.op_type in _RESHAPING or node.op_type == "Identity"


def _over_classes(node: onnx.NodeProto, opset: int, shape: Sequence[int | None], classes: int) -> bool:
    """Whether each run of `classes` entries, in order, is one of the groups that the softmax normalises."""
    one_axis = opset >= ONE_AXIS
    axis = next((a.i for a in node.attribute if a.name == "axis"), -1 if one_axis else 1)
    axis += len(shape) if axis < 0 else 0
    if not 0 <= axis < len(shape):
        return False
    group = [size or 0 for size in shape[axis:]]
    return math.prod(group) == classes and (not one_axis or group[0] == classes)


def bypass_softmax(
    model: onnx.ModelProto, output: str, count: int, shape: Sequence[int | None] | None = None
) -> tuple[str, str | None]:
    """Add, in place, what makes the scores without a final softmax, if that keeps all decisions.

    Args:
        model: changed in place.
        output: the value with the scores.
        count: the number of classes.
        shape: the output's, if it is not [N, count].

    Returns:
        The value to take as scores, and the operator that is left out (None: none is).
    """
    opset = next((o.version for o in model.opset_import if o.domain in STANDARD), ONE_AXIS)
    maker = {name: node for node in model.graph.node for name in node.output}
    shapes: dict[str, list[int | None]] = {output: list(shape or (None, count))}

    def shape_of(name: str) -> list[int | None] | None:
        if name not in shapes:
            shapes.update(_inferred(model))
        return shapes.get(name)

    chain = final_softmax(maker, output, opset, count, shape_of)
    if not chain:
        return output, None
    softmax, *after = chain
    current, left_out = softmax.input[0], softmax.op_type
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in after]
    for k, copy in enumerate(copies):
        copy.input[0], copy.name = current, f"vivavoce/after_{left_out.lower()}_{k}"
        current = copy.output[0] = copy.name
    model.graph.node.extend(copies)
    return current, left_out


def _inferred(model: onnx.ModelProto) -> dict[str, list[int | None]]:
    """Shapes by the standard's rules, for a softmax that a reshape follows; none where they fail."""
    try:
        graph = onnx.shape_inference.infer_shapes(model).graph
    except Exception:  # onnx raises several kinds; the softmax then stays
        return {}
    known = [v for v in (*graph.input, *graph.value_info, *graph.output) if v.type.HasField("tensor_type")]
    return {v.name: [d.dim_value or None for d in v.type.tensor_type.shape.dim] for v in known}
