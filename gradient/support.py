"""For each operator of a model, whether its gradient is exact, estimated or missing."""

from __future__ import annotations

from typing import Literal, NamedTuple

import onnx

from ..artifacts.front import LEAKY
from ..artifacts.graph import consumed
from ..errors import VivavoceError
from .errors import UnsupportedOperator, preparing
from .graph import Graph, key
from .reverse import DISCRETE, STEPS, dependent, differentiate, title
from .rules import RULES
from .specialisation import Specialiser

Status = Literal["exact", "estimated", "missing"]


class Support(NamedTuple):
    """What is known about one node between the image and the scores."""

    operator: str
    node: str
    status: Status
    reason: str
    """Empty for an exact gradient."""


def support(
    model: onnx.ModelProto,
    *,
    image: str = "image",
    scores: str = "scores",
    shape: tuple[int, ...] | None = None,
    straight_through: bool = False,
) -> list[Support]:
    """Look at every node through which the image moves the scores, after onnxruntime's simplification.

    Args:
        model: as for `InputGradient`.
        image: name of the input.
        scores: name of the output.
        shape: [C, H, W], needed where the model leaves a size open.
        straight_through: count step functions as estimated.

    Raises:
        VivavoceError: a size is open and no shape is given, or the model cannot be prepared.
    """
    with preparing():
        return _support(model, image, scores, shape, straight_through)


def _support(
    model: onnx.ModelProto, image: str, scores: str, shape: tuple[int, ...] | None, straight_through: bool
) -> list[Support]:
    prepared = Specialiser(model, image, [scores])
    size = (prepared.declared or 1, *prepared.sizes(shape))
    graph = Graph(prepared.at(size), straight_through=straight_through)
    nodes = list(graph.nodes)
    missing: dict[str, str] = {}
    output = graph.value(scores)
    loss = output.sum(range(1, output.rank), keepdims=False)
    try:
        differentiate(
            graph, loss, prepared.image, lambda node, reason: missing.update({title(node)[1]: reason})
        )
    except UnsupportedOperator as refusal:
        missing[refusal.node] = refusal.reason
    except VivavoceError as refusal:  # the scores are constant
        missing[title(nodes[-1])[1]] = str(refusal)
    depends = dependent(nodes, prepared.image, straight_through)
    return [_judged(node, missing, graph) for node in nodes if depends.intersection(consumed(node))]


def _judged(node: onnx.NodeProto, missing: dict[str, str], graph: Graph) -> Support:
    operator, name = title(node)
    if name in missing:
        return Support(operator, name, "missing", missing[name])
    if node.op_type in DISCRETE and not (graph.straight_through and node.op_type in STEPS):
        return Support(operator, name, "exact", "a choice or a size: constant almost everywhere")
    rule = RULES.get(key(node))
    if rule is not None and rule.estimated:
        return Support(operator, name, "estimated", rule.estimated)
    if node.name.startswith(LEAKY):
        return Support(
            operator, name, "estimated", "predicted bits: where they are sure, a little slope is added"
        )
    return Support(operator, name, "exact", "")
