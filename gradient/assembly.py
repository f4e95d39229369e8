"""A model, its losses and their gradient, put together as one graph."""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from ..errors import VivavoceError
from ..text import plain
from . import layout, losses
from .absorption import absorb
from .choice import choose
from .graph import FLOAT, INT, Graph
from .reverse import differentiate, propagate
from .value import Value

SCORES, LOSS, GRADIENT, GOALS = "scores", "vivavoce_loss", "vivavoce_gradient", "vivavoce_goals"
RIVALS, VALUE = "vivavoce_rivals", "vivavoce_value"


def assemble(
    model: onnx.ModelProto,
    count: int,
    names: Sequence[str],
    *,
    scores: str,
    image: str,
    of: str | None,
    blocked: bool,
    straight_through: bool,
) -> tuple[Graph, dict[str, Value]]:
    """The nodes of the model, the losses and the gradient, and what to put out.

    Args:
        model: prepared for a batch of `count`.
        count: N.
        names: of the losses; with several, the input `CHOICE` chooses one. Those after the first that need
            more classes are left out.
        scores: name of the output of scores.
        image: name of the input.
        of: with respect to which value the gradient is taken; None: the input.
        blocked: use onnxruntime's own operators for its blocked layout.
        straight_through: take step functions as the identity.

    Raises:
        VivavoceError: there is no gradient; see `InputGradient`.
    """
    graph = Graph(model, blocked=blocked, straight_through=straight_through)
    if blocked:
        layout.enlarge_gates(graph)
        absorb(graph, {*(value.name for value in model.graph.output), *([of] if of else [])})
    output = losses.as_rows(graph.value(scores), count)
    losses.check_count(names[0], scores, output.shape[1])
    found = [losses.find(name) for name in names]
    classes = [graph.input(GOALS, (count,), INT)]
    if any(loss.rivals for loss in found):
        classes.append(graph.input(RIVALS, (count,), INT))
    cuts = {name: _cut(graph, name, scores, count) for name in dict.fromkeys(loss.output for loss in found)}
    source = graph.value(of or image)
    if source.array is not None:
        raise VivavoceError(f"`{plain(source.name)}` is a constant, and not computed from the input")
    if source.dtype != FLOAT:
        raise VivavoceError(f"`{plain(source.name)}` holds {source.dtype}; a gradient needs floats")
    if len(names) == 1:
        loss = found[0].function(graph, *cuts.values(), *classes)
        gradient = differentiate(graph, loss, source.name)
    else:
        loss, starts = choose(graph, cuts, classes, names, output.shape[1])
        gradient = propagate(graph, starts, source.name)
    outputs = {scores: output, LOSS: loss, GRADIENT: gradient}
    return graph, outputs | ({VALUE: graph.value(of)} if of else {})


def _cut(graph: Graph, output: str, scores: str, count: int) -> Value:
    """What losses on `scores` or on `label` are computed from."""
    if output != SCORES:
        return graph.value(output)
    return losses.as_rows(losses.before_softmax(graph, graph.value(scores)), count)
