"""The head of a classifier: what stands between its logits and its output, and how that becomes scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx
from onnx import TensorProto

STANDARD = ("", "ai.onnx")
FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)
ONE_AXIS = 13
"""The opset from which Softmax runs over one axis; before, over that axis and all behind it."""

Kind = Literal[
    "scores",
    "softmax",
    "log-softmax",
    "sigmoids",
    "one sigmoid",
    "one logit",
    "probabilities",
    "one probability",
    "label bank",
]
WORDS: dict[Kind, str] = {
    "scores": "scores, as the file gives them",
    "softmax": "softmax, bypassed",
    "log-softmax": "log-softmax, bypassed",
    "sigmoids": "one sigmoid per class, bypassed",
    "one sigmoid": "one sigmoid, bypassed: two classes; scores are minus and plus half of its logit",
    "one logit": "one logit: two classes; scores are minus and plus half of it",
    "probabilities": "probabilities, with no softmax that can be bypassed; scores are their logarithms",
    "one probability": "one probability p: two classes; scores are the logarithms of 1 - p and p",
    "label bank": "an embedding; scores compare it with the labels of a bank",
}  # fmt: skip
"""What people read about each kind of head."""


@dataclass(frozen=True)
class Head:
    """How scores on the scale of logits are made of a classifier's output, with the same decisions."""

    kind: Kind

    @property
    def bypassed(self) -> bool:
        """Whether the output's last operator is left out."""
        return self.kind in ("softmax", "log-softmax", "sigmoids", "one sigmoid")

    @property
    def logarithms(self) -> bool:
        """Whether scores are logarithms of probabilities; some vanish, and their gradient with them."""
        return self.kind in ("probabilities", "one probability")

    @property
    def single(self) -> bool:
        """Whether the output has one column, which stands for two classes."""
        return self.kind.startswith("one ")

    @property
    def text(self) -> str:
        """The head in words."""
        return WORDS[self.kind]


ACTIVATIONS = ("Softmax", "LogSoftmax", "Sigmoid")
"""Operators that may be a head."""
RESHAPING = frozenset(["Reshape", "Flatten", "Squeeze", "Unsqueeze"])
"""Operators that keep the order of the entries."""
ROUNDING = frozenset(["QuantizeLinear", "DequantizeLinear"])
"""Operators that round all entries alike, where they have one scale."""
RISING = frozenset(["Clip", "Log", "Add", "Sub", "Mul", "Div", "Max", "Min"])
"""Operators that may be the same rising function of every probability: a bound, a logarithm, percents."""
LOW, HIGH = 0.01, 0.99
"""Bounds of probabilities that change no decision but those between classes that are all but impossible."""

ShapeOf = Callable[[str], Sequence[int | None] | None]
ArrayOf = Callable[[str], np.ndarray | None]


def final_activation(
    maker: Mapping[str, onnx.NodeProto], output: str, constant: ArrayOf
) -> list[onnx.NodeProto]:
    """The Softmax, LogSoftmax or Sigmoid that made an output, and the nodes from there to the output.

    Between them are only operators that keep the order of an image's scores.

    Args:
        maker: the node that makes each value.
        output: the value.
        constant: what a value holds, if it is a constant.

    Returns:
        The nodes in order, the activation first; none if there is no such activation.
    """
    chain: list[onnx.NodeProto] = []
    name = output
    while (node := maker.get(name)) is not None and node.domain in STANDARD:
        chain.insert(0, node)
        if node.op_type in ACTIVATIONS:
            return chain if _keeps_order(chain, constant) else []
        if not (passing(node) or node.op_type in RISING | ROUNDING):
            break
        name = next((n for n in node.input if constant(n) is None), node.input[0])
    return []


def exponential(maker: Mapping[str, onnx.NodeProto], output: str) -> list[onnx.NodeProto]:
    """The Exp of a softmax that is written out, and the nodes from there to the output.

    That is exp(x - c), or e / c with e = exp(x), where c is the same for all classes of an image.

    Args:
        maker: the node that makes each value.
        output: probabilities of classes.

    Returns:
        The nodes in order, the Exp first; none if probabilities are made in a different way.
    """
    chain: list[onnx.NodeProto] = []
    name = output
    while (node := maker.get(name)) is not None and node.domain in STANDARD:
        chain.insert(0, node)
        if node.op_type == "Exp":
            return chain
        divisor = maker.get(node.input[1]) if node.op_type == "Div" else None
        summed = divisor is not None and divisor.op_type == "ReduceSum" and divisor.input[0] == node.input[0]
        if not (passing(node) or summed):
            break
        name = node.input[0]
    return []


def passing(node: onnx.NodeProto) -> bool:
    """Whether a node keeps the entries and their order."""
    if node.op_type == "Cast":
        return any(a.name == "to" and a.i in FLOATS for a in node.attribute)
    return node.op_type in RESHAPING or node.op_type in ("Identity", "Dropout")


def _keeps_order(chain: Sequence[onnx.NodeProto], constant: ArrayOf) -> bool:
    """Whether what follows an activation is one rising function of all its entries that keeps them apart."""
    probabilities = chain[0].op_type != "LogSoftmax"
    for node in chain[1:]:
        if passing(node):
            continue
        if node.op_type in ROUNDING:
            scale = constant(node.input[1])
            if scale is not None and scale.size > 1:
                return False
            continue
        low, high = _bounds(node, constant) if node.op_type in ("Clip", "Max", "Min") else (0.0, 1.0)
        number = _number(node, constant)
        if node.op_type == "Log" or (low, high) != (0.0, 1.0):
            if not probabilities or not (low <= LOW and high >= HIGH):
                return False
            probabilities = node.op_type != "Log"
        elif node.op_type in ("Mul", "Div"):
            if (
                number is None
                or number <= 0
                or (node.op_type == "Div" and constant(node.input[0]) is not None)
            ):
                return False
            probabilities = False
        elif node.op_type in ("Add", "Sub"):
            if number is None or (node.op_type == "Sub" and constant(node.input[0]) is not None):
                return False
            probabilities = probabilities and node.op_type == "Add" and 0 <= number <= LOW
    return True


def _number(node: onnx.NodeProto, constant: ArrayOf) -> float | None:
    """The one number among a node's inputs that is a constant."""
    arrays = [array for name in node.input if name and (array := constant(name)) is not None]
    return float(arrays[0].ravel()[0]) if len(arrays) == 1 and arrays[0].size == 1 else None


def _bounds(node: onnx.NodeProto, constant: ArrayOf) -> tuple[float, float]:
    """The ends of a Clip, Max or Min; unknown ones are such that it decides."""
    if node.op_type != "Clip":
        number = _number(node, constant)
        number = math.nan if number is None else number
        return (number, math.inf) if node.op_type == "Max" else (-math.inf, number)
    given = {a.name: a.f for a in node.attribute}
    ends = [given.get("min", -math.inf), given.get("max", math.inf)]
    for k, name in enumerate(node.input[1:3]):
        if name:
            array = constant(name)
            ends[k] = math.nan if array is None or array.size != 1 else float(array.ravel()[0])
    return ends[0], ends[1]


def final_softmax(
    maker: Mapping[str, onnx.NodeProto],
    output: str,
    opset: int,
    classes: int,
    shape_of: ShapeOf,
    constant: ArrayOf = lambda name: None,
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
        constant: what a value holds, if it is a constant.

    Returns:
        The nodes in order, the softmax first; none if there is no such softmax.
    """
    chain = final_activation(maker, output, constant)
    if not chain or chain[0].op_type == "Sigmoid":
        return []
    reshaped = any(after.op_type in RESHAPING for after in chain)
    shape = shape_of(chain[0].input[0] if reshaped else output)
    return chain if shape is not None and over_classes(chain[0], opset, shape, classes) else []


def over_classes(node: onnx.NodeProto, opset: int, shape: Sequence[int | None], classes: int) -> bool:
    """Whether each run of `classes` entries, in order, is one of the groups that the softmax normalises."""
    one_axis = opset >= ONE_AXIS
    axis = next((a.i for a in node.attribute if a.name == "axis"), -1 if one_axis else 1)
    axis += len(shape) if axis < 0 else 0
    if not 0 <= axis < len(shape):
        return False
    group = [size or 0 for size in shape[axis:]]
    return math.prod(group) == classes and (not one_axis or group[0] == classes)


def softmax_kind(chain: Sequence[onnx.NodeProto]) -> Kind:
    """What a head from a Softmax or LogSoftmax on is called."""
    logs = chain[0].op_type == "LogSoftmax" or any(node.op_type == "Log" for node in chain)
    return "log-softmax" if logs else "softmax"
