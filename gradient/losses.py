"""Losses as graphs: one number per image, about its class in `goals`.

All but `score`, `contrast` and `probability` grow when the model does worse on that class.

A loss is written forwards only; the rules differentiate it like any other part of the graph. To add
one, write the function and put it in `LOSSES` with the output of the model that it needs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..artifacts.head import final_softmax, softmax_kind
from ..errors import VivavoceError
from ..text import plain
from .graph import FLOAT, Graph
from .value import Value

LABEL_BANK = "label_bank"
"""Initializer [K, *label shape] of a label model."""


@dataclass(frozen=True)
class Loss:
    """A loss and the output of the model it is computed from."""

    function: Callable[..., Value]
    """(graph, output, goals int64 [N]) -> float32 [N]; after the goals `rivals` int64 [N], if it has any."""
    output: str
    """`scores` or `label`."""
    rivals: bool = False
    """Whether it plays the goal off against one other class per image."""
    fewest: int = 2
    """Classes that it needs."""


def _one_hot(graph: Graph, scores: Value, goals: Value) -> Value:
    """Whether an entry of `scores` [N, K] is its image's goal, bool [N, K]."""
    classes = graph.integers(range(scores.shape[1])).reshape(1, scores.shape[1])
    return goals.reshape(*goals.shape, 1).compare("Equal", classes)


def _goal_and_rest(graph: Graph, scores: Value, goals: Value) -> tuple[Value, Value]:
    """The goal's score [N, 1] and the largest of the others [N, 1]."""
    goal = _one_hot(graph, scores, goals)
    own = goal.where(scores, 0.0).sum([1])
    return own, goal.where(float(np.finfo(np.float32).min), scores).reduce("ReduceMax", [1])


def cross_entropy(graph: Graph, scores: Value, goals: Value) -> Value:
    """-ln softmax(scores)[goal] = ln sum_j e^(scores_j - scores_goal).

    In this form the goal's own term is a constant, so its gradient, minus the sum of the others'
    probabilities, is a sum and not 1 minus something near 1: it stays exact where the model is sure.
    """
    goal = _one_hot(graph, scores, goals)
    own = goal.where(scores, 0.0).sum([1])
    return _log_sum_exp(goal.where(0.0, scores - own))


def log_odds(graph: Graph, scores: Value, goals: Value) -> Value:
    """ln sum_{j != goal} e^(scores_j - scores_goal), the log of the odds against the goal.

    Cross-entropy is ln(1 + e^this): both rise together, and their gradients point the same way. But where
    the model is so sure that float32 rounds cross-entropy's gradient to zero, this one keeps its size.
    """
    goal = _one_hot(graph, scores, goals)
    own = goal.where(scores, 0.0).sum([1])
    return _log_sum_exp(goal.where(float(np.finfo(np.float32).min), scores - own))


def score(graph: Graph, scores: Value, goals: Value) -> Value:
    """The goal's own score; unlike the losses, it grows when the model is surer of the goal."""
    return _one_hot(graph, scores, goals).where(scores, 0.0).sum([1], keepdims=False)


def contrast(graph: Graph, scores: Value, goals: Value) -> Value:
    """The goal's score minus the mean of all scores; it grows when the model is surer of the goal.

    The scores of a label model are minus squared distances, and flat where the prediction meets its label.
    Here the prediction's own square cancels: this is linear in the prediction, and never flat.
    """
    return score(graph, scores, goals) - scores.mean([1]).reshape(scores.shape[0])


def probability(graph: Graph, scores: Value, goals: Value) -> Value:
    """softmax(scores)[goal] = e^(-cross-entropy); like the score, it grows when the model is surer."""
    return (-cross_entropy(graph, scores, goals)).map("Exp")


def margin(graph: Graph, scores: Value, goals: Value) -> Value:
    """Largest score of another class minus the goal's: positive when the goal is not the decision."""
    own, rest = _goal_and_rest(graph, scores, goals)
    return (rest - own).reshape(scores.shape[0])


def probability_margin(graph: Graph, scores: Value, goals: Value) -> Value:
    """ln((1 + q) / (1 - q)) for q = p_max - p_goal, p = softmax(scores), p_max the largest of the others.

    Xie et al. 2024 (arXiv 2411.15210, section 3) climb q. This rises and falls with q, so its gradient points
    the same way, but it keeps its size where float32 rounds q to -1. With sums over the classes j,
    (1 + q) / (1 - q) = (sum_{j != goal} e^z_j + e^z_max) / (sum_{j != max} e^z_j + e^z_goal).
    """
    goal, lowest = _one_hot(graph, scores, goals), float(np.finfo(np.float32).min)
    gaps = scores - goal.where(scores, 0.0).sum([1])
    others = goal.where(lowest, gaps)
    first = graph.emit("ArgMax", [others], goals.shape, goals.dtype, axis=1, keepdims=0)
    top = _one_hot(graph, scores, first)
    above = top.where(others + math.log(2), others)
    below = top.where(lowest, goal.where(math.log(2), gaps))
    return _log_sum_exp(above) - _log_sum_exp(below)


def _log_sum_exp(scores: Value) -> Value:
    return scores.reduce("ReduceLogSumExp", [1], keepdims=False)


def difference_of_logits_ratio(graph: Graph, scores: Value, goals: Value) -> Value:
    """-(z_goal - max of the others) / (z_1st - z_3rd), the scores sorted (Croce & Hein 2020, equation 6)."""
    own, rest = _goal_and_rest(graph, scores, goals)
    top = _largest(graph, scores, 3)
    spread = top.slice(1, 0, 1) - top.slice(1, 2, 3) + 1e-12
    return ((rest - own) / spread).reshape(scores.shape[0])


def _largest(graph: Graph, scores: Value, count: int) -> Value:
    """The largest scores of each image, falling: [N, count]."""
    shape = (scores.shape[0], count)
    top, _ = graph.emit_many(
        "TopK", [scores, graph.integers([count])], [(shape, scores.dtype), (shape, np.dtype(np.int64))]
    )
    return top


def difference(graph: Graph, scores: Value, goals: Value, rivals: Value) -> Value:
    """Score of the rival minus the goal's: positive when the rival is preferred.

    The scores of a label model fall with the squared distance to each row of its bank, so this is how
    much nearer the prediction is to the rival's row.
    """
    own, other = (_one_hot(graph, scores, c).where(scores, 0.0).sum([1]) for c in (goals, rivals))
    return (other - own).reshape(scores.shape[0])


def targeted_difference_of_logits_ratio(graph: Graph, scores: Value, goals: Value, rivals: Value) -> Value:
    """-(z_goal - z_rival) / (z_1st - (z_3rd + z_4th) / 2), sorted (Croce & Hein 2020, equation 7)."""
    top = _largest(graph, scores, 4)
    spread = top.slice(1, 0, 1) - top.slice(1, 2, 4).mean([1]) + 1e-12
    gap = difference(graph, scores, goals, rivals).reshape(scores.shape[0], 1)
    return (gap / spread).reshape(scores.shape[0])


def smooth_l1(graph: Graph, label: Value, goals: Value) -> Value:
    """Mean over the label's entries d of d^2/2 where |d| < 1, else |d| - 1/2 (Chen et al. 2021).

    With c = min(max(d, -1), 1) both cases are c (d - c/2), whose derivative is c.
    """
    bank = graph.value(LABEL_BANK)
    if bank.shape[1:] != label.shape[1:]:
        raise VivavoceError("the loss `smooth-l1` needs a bank of one label per class; take `score`")
    goal = graph.emit("Gather", [bank, goals], label.shape, axis=0)
    difference = label - goal
    clipped = difference.map("Clip", -1.0, 1.0)
    entries = clipped * (difference - clipped * 0.5)
    return entries.reduce("ReduceMean", range(1, label.rank), keepdims=False)


LOSSES = {
    "cross-entropy": Loss(cross_entropy, "scores"),
    "log-odds": Loss(log_odds, "scores"),
    "margin": Loss(margin, "scores"),
    "probability-margin": Loss(probability_margin, "scores"),
    "score": Loss(score, "scores", fewest=1),
    "contrast": Loss(contrast, "scores"),
    "probability": Loss(probability, "scores"),
    "dlr": Loss(difference_of_logits_ratio, "scores", fewest=3),
    "difference": Loss(difference, "scores", rivals=True),
    "targeted-dlr": Loss(targeted_difference_of_logits_ratio, "scores", rivals=True, fewest=4),
    "smooth-l1": Loss(smooth_l1, "label"),
}


def find(name: str) -> Loss:
    """Look a loss up by name.

    Raises:
        VivavoceError: no loss has this name.
    """
    if name not in LOSSES:
        raise VivavoceError(f"no loss {name!r}; choose one of {', '.join(LOSSES)}")
    return LOSSES[name]


def check_rivals(name: str, given: bool) -> None:
    """Check that classes to play the goals off against are given where the loss has them.

    Raises:
        VivavoceError: they are missing, or the loss has none.
    """
    if LOSSES[name].rivals and not given:
        raise VivavoceError(f"the loss `{name}` is between two classes; give `rivals`")
    if given and not LOSSES[name].rivals:
        raise VivavoceError(f"the loss `{name}` takes no rivals; `difference` compares two classes")


def check_count(name: str, output: str, count: int) -> None:
    """Check that a loss can be computed from the scores of `count` classes, in the output of that name.

    Raises:
        VivavoceError: it needs more.
    """
    fewest = LOSSES[name].fewest
    if count < fewest:
        raise VivavoceError(
            f"the loss `{name}` needs at least {fewest} classes; the output `{plain(output)}` has {count}"
        )


def as_rows(scores: Value, count: int) -> Value:
    """Scores [N, K] of an output of that shape, or of one with further dimensions of size 1.

    Args:
        scores: the output.
        count: N.

    Raises:
        VivavoceError: the output has another shape, or no floats.
    """
    classes = scores.size // max(count, 1)
    batched = scores.rank > 0 and scores.shape[0] == count
    long = [size for size in scores.shape[int(batched) :] if size != 1]
    if len(long) > 1 or classes * count != scores.size or scores.dtype != FLOAT:
        raise VivavoceError(
            f"the output `{plain(scores.name)}` is {scores.dtype} {list(scores.shape)} for a batch of "
            f"{count}; choose one that is float [batch, classes]"
        )
    return scores.reshape(count, classes)


def before_softmax(graph: Graph, scores: Value) -> Value:
    """The logits under scores that a final Softmax made; other scores as they are.

    A Softmax that is sure of itself has a gradient of zero in float32, and an attack would stall there.
    Cross-entropy, the margin and the ratio of logits mean the same, or more, on the logits.
    """
    chain = final_softmax(
        graph.producer, scores.name, graph.opset, scores.shape[-1], lambda name: graph.value(name).shape
    )
    if not chain or softmax_kind(chain) != "softmax" or scores.rank != 2:
        return scores
    return graph.value(chain[0].input[0]).reshape(*scores.shape)
