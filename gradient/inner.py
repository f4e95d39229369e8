"""Values inside a model, with respect to which a gradient can be taken instead of the input."""

from __future__ import annotations

from typing import NamedTuple

import onnx
from onnx import TensorProto

from .errors import preparing
from .preparation import fix_shape
from .preparation.shapes import check_sizes, infer
from .reverse import dependent, title
from .specialisation import Specialiser


class InnerValue(NamedTuple):
    """A float value between the input and the scores."""

    name: str
    operator: str
    """The operator that makes it, with its domain unless that is the standard one."""
    shape: tuple[int, ...]


def inner_values(
    model: onnx.ModelProto,
    *,
    image: str = "image",
    scores: str = "scores",
    shape: tuple[int, ...] | None = None,
) -> list[InnerValue]:
    """List what `InputGradient` takes as `of`, in the order in which the model computes it.

    Args:
        model: as for `InputGradient`.
        image: name of the input.
        scores: name of the output.
        shape: the input's sizes after the batch, needed where the model leaves one open.

    Raises:
        VivavoceError: a size is open and no shape is given, or the model cannot be prepared.
    """
    with preparing():
        prepared = Specialiser(model, image, [scores])
        size = (prepared.declared or 1, *prepared.sizes(shape))
        fixed = fix_shape(prepared.take(), prepared.image, size)
        check_sizes(fixed, size[0])
        graph = infer(fixed).graph
    kinds = {v.name: v.type.tensor_type for v in (*graph.value_info, *graph.output)}
    depends = dependent(list(graph.node), prepared.image)
    return [
        InnerValue(name, title(node)[0], tuple(d.dim_value for d in kinds[name].shape.dim))
        for node in graph.node
        for name in node.output
        if name in depends and name in kinds and kinds[name].elem_type == TensorProto.FLOAT
    ]
