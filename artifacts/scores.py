"""The scores of a file without a manifest: what its output is, and what the classes are called."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..errors import VivavoceError
from ..text import plain
from .declared import inferred_values
from .embedding import ends_in_l2_norm
from .head import (
    FLOATS,
    ONE_AXIS,
    RESHAPING,
    STANDARD,
    Head,
    exponential,
    final_activation,
    over_classes,
    passing,
    softmax_kind,
)
from .interface import Declared
from .limits import MOST_CLASSES
from .measuring import measure
from .outputs import constants, no_scores, refuse_ranked

LINEAR = (
    "Gemm",
    "MatMul",
    "Conv",
    "Einsum",
    "FusedMatMul",
    "FusedGemm",
    "FusedConv",
    "QLinearMatMul",
    "QGemm",
)
"""Operators whose results are logits, not probabilities."""
TINY = 1e-30
"""Added to probabilities before their logarithm."""
SLACK = 2e-3
"""How far probabilities of half precision may be from 0..1, and their sum from 1."""
PICTURES = 16
"""Random pictures on which an output is looked at."""


def put_scores(model: onnx.ModelProto, output: str, value: str, path: Path, sure: bool) -> tuple[Head, int]:
    """Make the output `scores` [N, K] of a graph that has the input `image`, in place.

    A softmax or sigmoid at the end is bypassed: same decisions, but scores on the scale of logits, whose
    gradient does not vanish with confidence.

    Args:
        model: nodes in topological order, one output.
        output: the file's name of the output.
        value: its name in the graph.
        path: the file, for messages.
        sure: whether the user says that it is one of class scores, whatever it is called.

    Returns:
        What is made of the output, and the number of classes.

    Raises:
        VivavoceError: it is not one of scores.
    """
    if ends_in_l2_norm(model, value):
        raise VivavoceError(
            f"{path}: gives embeddings, not class scores (its output {output!r} ends in an L2 "
            "normalisation); they have no classes without a label bank: give it with --bank BANK.npz"
        )
    refuse_ranked(model, path, output, value)
    shape, columns = _shape(model, output, value, path)
    if columns > MOST_CLASSES:
        raise VivavoceError(f"{path}: {columns:,} classes; at most {MOST_CLASSES:,} are read")
    head, source = find_head(model, value, shape, columns)
    if "embed" in output.lower() and not (sure or head.bypassed):
        raise VivavoceError(
            f"{path}: its output is called {output!r}, as embeddings are, which have no classes; give their "
            f"label bank with --bank BANK.npz or, if it is one of class scores, --output-name {output} or "
            "--classes"
        )
    _append(model, source, head, columns, rows=len(shape) == 2 and shape[1] == columns)
    return head, 2 if head.single else columns


Sizes = list[int | None]


def _known_shape(model: onnx.ModelProto, output: str, value: str, path: Path) -> tuple[Sizes, int]:
    """Shape of the output, in which only the batch is open, and its element type.

    The shape is the declared one, or what the standard's rules or a run say.
    """
    declared = next(o for o in model.graph.output if o.name == value)
    element, sizes = declared.type.tensor_type.elem_type, _sizes(declared)
    if not _settled(sizes):
        rows = next(max(_sizes(v)[0] or 1, 1) for v in model.graph.input if v.name == "image")
        known = next((s for v in inferred_values(model) if v.name == value and (s := _sizes(v))), sizes)
        sizes = known if known[:1] in ([None], [1], [rows]) else sizes  # else the images are not first
    if element in FLOATS and not _settled(sizes):
        try:
            sizes = _measured(model, value)
        except VivavoceError as error:
            raise VivavoceError(
                f"{path}: the output {plain(output)!r} leaves its shape open, and {error}"
            ) from None
    return sizes, element


def columns_of(model: onnx.ModelProto, output: str, value: str, path: Path) -> int:
    """How many numbers an output has for an image.

    Args:
        model: with the input `image`.
        output: the file's name of the output.
        value: its name in the graph.
        path: the file, for messages.

    Raises:
        VivavoceError: they are not floats, or the graph does not run.
    """
    sizes, element = _known_shape(model, output, value, path)
    if element not in FLOATS:
        kind = TensorProto.DataType.Name(element).lower()
        raise VivavoceError(f"{path}: the output {plain(output)!r} is {kind}; an embedding is floats")
    return math.prod(size or 1 for size in (sizes[1:] if _settled(sizes) else sizes))


def _shape(model: onnx.ModelProto, output: str, value: str, path: Path) -> tuple[Sizes, int]:
    """Shape of an output of scores, in which only the batch is open, and the number of scores of an image."""
    declared = next(o for o in model.graph.output if o.name == value)
    if not declared.type.HasField("tensor_type"):
        raise no_scores(path, output, f"a {Declared.of(declared).type}")
    sizes, element = _known_shape(model, output, value, path)
    classes = [size for size in (sizes[1:] if _settled(sizes) else sizes) if size not in (None, 1)]
    if element not in FLOATS or len(classes) > 1 or 0 in classes:
        kind = TensorProto.DataType.Name(element).lower()
        shown = ["N" if size is None else size for size in sizes]
        raise no_scores(path, output, f"{kind} {shown}")
    return sizes, (classes[0] or 1) if classes else 1


def _settled(sizes: Sequence[int | None]) -> bool:
    """Whether a shape says how many scores an image has: the first size is the batch, no other is open."""
    return len(sizes) > 1 and None not in sizes[1:]


def _measured(model: onnx.ModelProto, value: str) -> Sizes:
    """The shape of a value, with None for the batch; a file that takes one image may leave it out.

    Raises:
        VivavoceError: the graph does not run, or the value has no size that is the batch's.
    """
    image = next(v for v in model.graph.input if v.name == "image")
    pinned = image.type.tensor_type.shape.dim[0].dim_value
    first = list(measure(model, [value], 2)[0].shape)
    if pinned == 1:
        return [None, *first[1:]] if first[:1] == [1] and len(first) > 1 else list(first)
    if pinned > 1:
        grows = [axis for axis, size in enumerate(first) if size == pinned and set(first[:axis]) <= {1}]
    else:
        second = list(measure(model, [value], 3)[0].shape)
        grows = [k for k, sizes in enumerate(zip(first, second, strict=False)) if sizes == (2, 3)]
    if not grows or not set(first[: grows[0]]) <= {1}:
        raise VivavoceError(
            f"it gives {first} for {pinned or 2} images, not [images, classes]; export the model with the "
            "images along the first axis, or with a batch of 1"
        )
    return [None if axis == grows[0] else size for axis, size in enumerate(first)]


def _sizes(value: onnx.ValueInfoProto) -> Sizes:
    dims = value.type.tensor_type.shape.dim
    return [d.dim_value if d.dim_value > 0 else None for d in dims]


def find_head(model: onnx.ModelProto, value: str, shape: Sizes, columns: int) -> tuple[Head, str]:
    """What stands at the end of a graph, and the value to make scores of: the logits, if there are some.

    Args:
        model: nodes in topological order, with the input `image`; nodes may be added.
        value: the output.
        shape: its shape, None for the batch.
        columns: scores of an image.
    """
    maker = {name: node for node in model.graph.node for name in node.output}
    held = constants(model.graph)
    chain = final_activation(maker, value, held.get)
    if chain and chain[0].op_type == "Sigmoid":
        return Head("one sigmoid" if columns == 1 else "sigmoids"), _without(model, chain)
    if chain and _normalises_classes(model, chain, shape, columns):
        return Head(softmax_kind(chain)), _without(model, chain)
    if not _linear(maker, value, held) and _probabilities(model, value, columns):
        written_out = exponential(maker, value)
        if columns > 1 and written_out:
            return Head("softmax"), _without(model, written_out)
        return Head("one probability" if columns == 1 else "probabilities"), value
    return Head("one logit" if columns == 1 else "scores"), value


def _normalises_classes(
    model: onnx.ModelProto, chain: Sequence[onnx.NodeProto], shape: Sizes, columns: int
) -> bool:
    """Whether a softmax at the end is over the classes of each image, and so keeps their order."""
    opset = next((o.version for o in model.opset_import if o.domain in STANDARD), ONE_AXIS)
    if any(node.op_type in RESHAPING for node in chain):
        inner = chain[0].input[0]
        known = next((_sizes(v) for v in inferred_values(model) if v.name == inner), [])
        try:
            shape = known if _settled(known) else _measured(model, inner)
        except VivavoceError:
            return False
    return columns > 1 and over_classes(chain[0], opset, shape, columns)


def _without(model: onnx.ModelProto, chain: Sequence[onnx.NodeProto]) -> str:
    """Add what makes the output without its activation: the nodes after it that only move entries."""
    activation, *after = chain
    current = activation.input[0]
    for k, node in enumerate(node for node in after if passing(node)):
        copy = onnx.NodeProto.FromString(node.SerializeToString())
        copy.input[0], copy.name = current, f"vivavoce/after_{activation.op_type.lower()}_{k}"
        del copy.output[1:]
        current = copy.output[0] = copy.name
        model.graph.node.append(copy)
    return current


def _linear(maker: Mapping[str, onnx.NodeProto], value: str, held: Mapping[str, np.ndarray]) -> bool:
    """Whether a value is the result of a linear layer, whose range has no bounds."""
    while (node := maker.get(value)) is not None:
        if node.op_type in LINEAR:
            return True
        made = [name for name in node.input if name in maker and name not in held]
        if not (passing(node) or node.op_type in ("Add", "Sub", "Mul", "Div")) or len(made) != 1:
            return False
        value = made[0]
    return False


def _probabilities(model: onnx.ModelProto, value: str, columns: int) -> bool:
    """Whether a value holds probabilities for some pictures: in 0..1 and, of several classes, with sum 1."""
    try:
        found = measure(model, [value], PICTURES)[0].astype(np.float64)
    except VivavoceError:
        return False
    if found.size % columns or not found.size:
        return False
    rows = found.reshape(-1, columns)
    inside = bool(np.isfinite(rows).all()) and rows.min() >= -SLACK and rows.max() <= 1 + SLACK
    return inside and (columns == 1 or bool((np.abs(rows.sum(1) - 1) < SLACK).all()))


def _append(model: onnx.ModelProto, value: str, head: Head, columns: int, rows: bool) -> None:
    """Make `scores` of a value, in place.

    Args:
        model: changed in place.
        value: what the head leaves.
        head: what to make of it.
        columns: its numbers for each image.
        rows: whether it is [N, columns].
    """
    graph, current = model.graph, value
    steps: list[tuple[str, np.ndarray | None]] = []
    if not rows:
        steps.append(("Reshape", np.array([-1, columns], np.int64)))
    if head.kind in ("one logit", "one sigmoid"):
        steps.append(("MatMul", np.array([[-0.5, 0.5]], np.float32)))
    if head.kind == "one probability":
        steps += [("MatMul", np.array([[-1, 1]], np.float32)), ("Add", np.array([1, 0], np.float32))]
    if head.logarithms:
        steps += [("Relu", None), ("Add", np.array(TINY, np.float32)), ("Log", None)]
    graph.node.append(
        helper.make_node("Cast", [current], ["vivavoce/float"], name="vivavoce/float", to=TensorProto.FLOAT)
    )
    current = "vivavoce/float"
    for k, (operator, constant) in enumerate(steps):
        made = f"vivavoce/head_{operator.lower()}_{k}"
        inputs = [current]
        if constant is not None:
            inputs.append(f"{made}_constant")
            graph.initializer.append(numpy_helper.from_array(constant, inputs[1]))
        graph.node.append(helper.make_node(operator, inputs, [made], name=made))
        current = made
    graph.node.append(helper.make_node("Identity", [current], ["scores"], name="vivavoce/scores"))
    image = next(v for v in graph.input if v.name == "image").type.tensor_type.shape.dim[0]
    batch = image.dim_value if image.dim_value > 0 else image.dim_param
    shape = [batch, 2 if head.single else columns]
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("scores", TensorProto.FLOAT, shape))
