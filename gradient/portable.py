"""The gradient as a file of its own: an ordinary ONNX model that any runtime can run."""

from __future__ import annotations

from importlib.metadata import version
from typing import Literal

import numpy as np
import onnx
from onnx import helper

from ..artifacts.graph import consumed, rename
from ..artifacts.onnx_file import PROTOBUF_LIMIT
from ..artifacts.runtime import make_session
from ..errors import VivavoceError
from .dynamic import FEW, MANY, FixedBatch, merge
from .errors import UnsupportedOperator, preparing
from .graph import STANDARD
from .reverse import title
from .session import GOALS, GRADIENT, LOSS, RIVALS, SCORES, VALUE, InputGradient

Layout = Literal["portable", "ort-cpu"]
PUBLIC = {GOALS: "class", RIVALS: "rival", LOSS: "loss", GRADIENT: "gradient", VALUE: "value"}
"""What the graph's own inputs and outputs are called in the file."""
ROUNDING = 1e-3
"""Of the largest entry: how far results may differ between two graphs that do the same."""


def gradient_file(
    gradient: InputGradient,
    *,
    batch: int | None = None,
    shape: tuple[int, ...] | None = None,
    layout: Layout = "portable",
) -> onnx.ModelProto:
    """The gradient as an ONNX model.

    Its inputs are the model's own and `class`, int64 [N], and for a loss between two classes `rival`,
    int64 [N]. Its outputs are `scores` [N, K], `loss` [N] and `gradient`, and `value`, where the gradient is
    with respect to a value inside the model. What else has one of these names gets `_own` behind it.

    Args:
        gradient: of a model and a loss.
        batch: N; None: the one that the model was exported for, or any if it takes any.
        shape: the input's sizes after the batch, needed where the model leaves one open.
        layout: `portable`, of the standard's operators alone; `ort-cpu` with those of onnxruntime's
            fast kernels on a CPU.

    Raises:
        VivavoceError: the model runs with one batch size only, or a portable file would need operators
            that the standard does not have.
    """
    rest, declared = gradient.sizes(shape), gradient.declared_batch
    blocked = layout == "ort-cpu"
    with preparing():
        if batch is not None and declared not in (None, batch) and gradient.only_batch(rest):
            raise VivavoceError(
                f"the model was exported for batches of {declared}, and computes something else with others; "
                f"give --batch {declared}"
            )
        if batch or declared:
            model = gradient.graph((batch or declared or 1, *rest), blocked)
        else:
            few, many, one = (gradient.graph((size, *rest), blocked) for size in (FEW, MANY, 1))
            model = merge(few, many, gradient.input)
            _check(model, one)
        _name(model, gradient)
        _describe(model, gradient)
        if not blocked:
            _check_standard(model)
        if model.ByteSize() > PROTOBUF_LIMIT:
            raise VivavoceError("the gradient would be larger than 2 GiB, which no ONNX file can be")
        onnx.checker.check_model(model, full_check=True)
    return model


def _check(model: onnx.ModelProto, one: onnx.ModelProto) -> None:
    """Compare the graph for any batch with one made for a batch of one.

    Raises:
        FixedBatch: they do not compute the same.
    """
    rng = np.random.default_rng(0)
    feeds = {}
    for entry in one.graph.input:
        tensor = entry.type.tensor_type
        dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        feeds[entry.name] = rng.random([d.dim_value for d in tensor.shape.dim]).astype(dtype)
    expected = make_session(one.SerializeToString()).run(None, feeds)
    try:
        found = make_session(model.SerializeToString()).run(None, feeds)
    except Exception as error:  # onnxruntime's exceptions share no base class
        raise FixedBatch("a size does not grow in proportion to the batch") from error
    if not all(_near(np.asarray(a), np.asarray(b)) for a, b in zip(found, expected, strict=True)):
        raise FixedBatch("it computes something else for a batch of one")


def _near(found: np.ndarray, expected: np.ndarray) -> bool:
    limit = ROUNDING * np.abs(np.nan_to_num(expected)).max(initial=1e-30)
    return found.shape == expected.shape and np.allclose(found, expected, 0, limit, equal_nan=True)


def _name(model: onnx.ModelProto, gradient: InputGradient) -> None:
    """Give inputs and outputs their public names, in place."""
    names = PUBLIC | {gradient.scores: SCORES}
    for own, public in names.items():
        if own == public:
            continue
        taken = {name for node in model.graph.node for name in (*consumed(node), *node.output)}
        taken |= {v.name for v in model.graph.input}
        if public in taken:
            free = f"{public}_own"
            while free in taken:
                free += "_"
            rename(model.graph, public, free)
        rename(model.graph, own, public)


def _describe(model: onnx.ModelProto, gradient: InputGradient) -> None:
    """Say what the file is, and import what it uses, in place."""
    model.producer_name, model.producer_version = "vivavoce", version("vivavoce")
    source = gradient.of or gradient.input
    model.graph.doc_string = f"The gradient of the loss {gradient.name} with respect to {source}."
    used = {node.domain for node in model.graph.node} | {""}
    kept = [o for o in model.opset_import if o.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)


def _check_standard(model: onnx.ModelProto) -> None:
    """Refuse operators outside the standard.

    Raises:
        UnsupportedOperator: the model itself has one.
    """
    for node in model.graph.node:
        if node.domain not in STANDARD:
            raise UnsupportedOperator(
                *title(node), "it is not in the ONNX standard; --layout ort-cpu keeps it for onnxruntime"
            )
