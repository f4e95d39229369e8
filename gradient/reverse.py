"""Reverse mode: from the gradient of the loss backwards through the nodes to the source.

The source is the value with respect to which the gradient is taken: the input, or one inside the model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import onnx

from ..artifacts.graph import consumed
from ..errors import VivavoceError
from ..text import plain
from . import layout
from .errors import BEFORE, MissingRule, PiecewiseConstant, UnsupportedOperator
from .graph import MICROSOFT, Graph, key
from .rules import RULES, Node, Rule
from .value import Value

DISCRETE = frozenset(
    ["ArgMax", "ArgMin", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or", "Not",
     "Xor", "IsNaN", "IsInf", "Shape", "Size", "NonZero", "OneHot", "ConstantOfShape", "EyeLike",
     "TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor"]
)  # fmt: skip
"""Operators that choose or measure: their outputs are constant almost everywhere and carry no gradient."""
STEPS = frozenset(["Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or", "Not"])
"""Those of them that a straight-through estimate passes."""

Observer: TypeAlias = Callable[[onnx.NodeProto, str], None]


def title(node: onnx.NodeProto) -> tuple[str, str]:
    """The operator and the node's name, as people are told them."""
    domain, operator = key(node)
    return (f"{domain}.{operator}" if domain else operator), node.name or next(o for o in node.output if o)


def dependent(nodes: list[onnx.NodeProto], source: str, straight_through: bool = False) -> set[str]:
    """Values through which the source can move the loss."""
    names, barred = {source}, DISCRETE - STEPS if straight_through else DISCRETE
    for node in nodes:
        if node.op_type not in barred and names.intersection(consumed(node)):
            names.update(output for output in node.output if output)
    return names


def differentiate(graph: Graph, loss: Value, source: str, missing: Observer | None = None) -> Value:
    """Emit the gradient of sum(loss) with respect to the source.

    Args:
        graph: holds the nodes from the source to the loss; gradient nodes are appended to it.
        loss: one number per image, so that each image's gradient is that of its own loss.
        source: name of a value.
        missing: see `propagate`.

    Raises:
        UnsupportedOperator: as for `propagate`.
        VivavoceError: the loss does not depend on the source at all.
    """
    return propagate(graph, {loss.name: graph.constant(loss_seed(loss)).expand(*loss.shape)}, source, missing)


def propagate(
    graph: Graph, gradients_of: dict[str, Value], source: str, missing: Observer | None = None
) -> Value:
    """Emit the gradient with respect to the source, given that with respect to what comes from it.

    Args:
        graph: holds the nodes from the source to those values; gradient nodes are appended to it.
        gradients_of: gradients by the name of the value.
        source: name of a value.
        missing: called with each node without a gradient and why; a stand-in then replaces it.
            By default the first such node raises.

    Raises:
        UnsupportedOperator: a node on the way has no rule, its rule refuses it, or nothing
            differentiable connects the source with the loss.
        VivavoceError: the loss does not depend on the source at all.
    """
    nodes = list(graph.nodes)
    depends = dependent(nodes, source, graph.straight_through)
    pending = dict(gradients_of)
    for proto in reversed(nodes):
        if not depends.intersection(consumed(proto)) or not any(name in pending for name in proto.output):
            continue
        dys = [pending.pop(name, None) for name in proto.output]
        if proto.op_type in DISCRETE and not (graph.straight_through and proto.op_type in STEPS):
            continue
        try:
            gradients = node_gradients(graph, proto, dys)
        except MissingRule as refusal:
            if missing is None:
                raise UnsupportedOperator(*title(proto), str(refusal)) from refusal
            missing(proto, str(refusal))
            gradients = _stand_ins(graph, proto)
        for name, gradient in zip(proto.input, gradients, strict=False):
            if gradient is not None and name in depends:
                pending[name] = layout.add(pending[name], gradient) if name in pending else gradient
    if source not in pending:
        raise _cut(nodes, source)
    return pending[source]


def loss_seed(loss: Value) -> np.ndarray:
    """Gradient of sum(loss) with respect to each loss: one."""
    return np.ones((), loss.dtype)


def node_gradients(graph: Graph, proto: onnx.NodeProto, dys: list[Value | None]) -> list[Value | None]:
    """Apply a node's rule: the gradient of each input, or None.

    Raises:
        MissingRule: there is no rule, or it refuses this node.
    """
    rule = RULES.get(key(proto))
    if rule is None:
        fused = proto.domain.startswith(MICROSOFT)
        raise MissingRule(f"there is no rule for it; {BEFORE}" if fused else "there is no rule for it")
    kinds = [graph.value(name).dtype for name, dy in zip(proto.output, dys, strict=True) if dy is not None]
    whole = next((kind for kind in kinds if kind.kind != "f" and not rule.integers), None)
    return _applied(rule, Node(graph, proto, whole), dys)


def _applied(rule: Rule, node: Node, dys: list[Value | None]) -> list[Value | None]:
    if rule.every_output:
        found = rule.function(node, dys)
    elif any(dy is not None for dy in dys[1:]):
        raise MissingRule("its further outputs are used, and only the first one has a rule")
    elif dys[0] is None:
        return []
    else:
        found = rule.function(node, dys[0])
    return [found] if isinstance(found, Value) else list(found)


def _stand_ins(graph: Graph, proto: onnx.NodeProto) -> list[Value | None]:
    """Something of the right shape for each input, so that the nodes before can still be looked at."""
    stand_ins: list[Value | None] = []
    for name in proto.input:
        try:
            stand_ins.append(graph.value(name).cast() if name else None)
        except MissingRule:
            stand_ins.append(None)
    return stand_ins


def _cut(nodes: list[onnx.NodeProto], source: str) -> VivavoceError:
    """Explain why the loss does not depend on `source`: name the node that cuts it off, if there is one."""
    depends = dependent(nodes, source)
    for node in nodes:
        if node.op_type in DISCRETE and depends.intersection(consumed(node)) and node.op_type != "Shape":
            reason = f"`{plain(source)}` reaches the loss only through choices: it is piecewise constant"
            return PiecewiseConstant(*title(node), reason)
    return VivavoceError(f"the loss does not depend on `{plain(source)}`")
