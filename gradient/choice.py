"""One backward graph for several losses.

A loss is a function of the scores or of the label, and all that lies before those is differentiated in the
same way whatever the loss is. So each loss becomes a branch that gives its values and its gradients with
respect to the scores and the label, and nested `If` nodes run the one branch that an input chooses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx

from .graph import INT, Graph, information
from .losses import LABEL_BANK, LOSSES
from .reverse import differentiate
from .value import Value

CHOICE = "vivavoce_choice"
"""Input of the graph: which of its losses is computed, int64 []."""

Branch = Callable[[Graph], list[Value]]


def choose(
    graph: Graph, cuts: dict[str, Value], classes: Sequence[Value], names: Sequence[str], count: int
) -> tuple[Value, dict[str, Value]]:
    """Emit losses of which an input chooses one, and what the gradient starts from.

    Args:
        graph: the model.
        cuts: the outputs that losses are computed from: `scores` [N, K], or `label`, or both.
        classes: the goals int64 [N], and the rivals int64 [N] if any of the losses has them.
        names: of the losses; `CHOICE` counts them.
        count: K; losses that need more classes get no branch.

    Returns:
        The loss [N], and for each cut, by the name of its value, the gradient of the sum of the losses.
    """
    choice = graph.input(CHOICE, (), INT)
    usable = [name for name in names if LOSSES[name].fewest <= count]
    outputs = [((classes[0].shape[0],), np.dtype(np.float32)), *((v.shape, v.dtype) for v in cuts.values())]
    outer = [*cuts.values(), *classes, choice]
    if "label" in cuts:
        outer.append(graph.value(LABEL_BANK))
    body = _last(graph, outer, cuts, classes, usable[-1])
    for name in reversed(usable[:-1]):
        here = _last(graph, outer, cuts, classes, name)
        body = _either(names.index(name), choice, here, body, outputs, graph, outer)
    loss, *gradients = body(graph)
    return loss, {value.name: gradient for value, gradient in zip(cuts.values(), gradients, strict=True)}


def _last(
    graph: Graph, outer: list[Value], cuts: dict[str, Value], classes: Sequence[Value], name: str
) -> Branch:
    """One loss and its gradients."""
    found = LOSSES[name]

    def write(inner: Graph) -> list[Value]:
        output = inner.value(cuts[found.output].name)
        given = [inner.value(c.name) for c in (classes if found.rivals else classes[:1])]
        loss = found.function(inner, output, *given)
        gradient = differentiate(inner, loss, output.name)
        others = (gradient if key == found.output else inner.zeros(*v.shape) for key, v in cuts.items())
        return [loss, *others]

    return write


def _either(
    number: int,
    choice: Value,
    here: Branch,
    rest: Branch,
    outputs: list,
    graph: Graph,
    outer: list[Value],
) -> Branch:
    """The branch `here` where the choice is `number`, else `rest`."""

    def write(inner: Graph) -> list[Value]:
        chosen = inner.emit("Equal", [inner.value(choice.name), inner.constant(np.array(number))], ())
        then, other = (_body(graph, outer, branch, f"{graph.fresh('loss')}/") for branch in (here, rest))
        return inner.emit_many("If", [chosen], outputs, then_branch=then, else_branch=other)

    return write


def _body(graph: Graph, outer: list[Value], branch: Branch, prefix: str) -> onnx.GraphProto:
    """A branch as a graph that takes the outer values by name; `prefix` keeps its own names apart."""
    model = onnx.ModelProto(ir_version=graph.base.ir_version)
    model.opset_import.extend(graph.base.opset_import)
    model.graph.input.extend(information(value.name, value) for value in outer)
    inner = Graph(model, blocked=False, prefix=prefix)
    return inner.body(prefix.rstrip("/"), branch(inner))
