"""The images that a report shows of the worst kinds, made again after the audit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...images.imageset import to_float
from ..attacks.base import Goal
from ..attacks.streams import Streams
from ..examples import Example
from ..outcomes import Evaluation, Outcome
from ..plan import Plan
from ..protocol import ATTACKS
from .heat import WORST

EACH = 2
"""Images of each kind."""


def worst_examples(plan: Plan, evaluation: Evaluation) -> list[Example]:
    """Images that the worst kinds lose, at the smallest severity at which they lose some."""
    kinds: dict[str, list[Outcome]] = {}
    for outcome in evaluation.outcomes:
        kinds.setdefault(outcome.attack, []).append(outcome)
    means = {kind: np.mean([outcome.right for outcome in found]) for kind, found in kinds.items()}
    found: list[Example] = []
    for kind in sorted(kinds, key=lambda kind: means[kind])[:WORST]:
        for outcome in kinds[kind]:
            if chosen := _lost(evaluation, outcome):
                found += _made(plan, evaluation, outcome, chosen)
                break
    return found


def _lost(evaluation: Evaluation, outcome: Outcome) -> list[int]:
    """Places of lost images, of different classes if there are."""
    lost = np.flatnonzero(evaluation.right & ~outcome.right)
    labels = evaluation.labels[lost]
    first = [int(lost[k]) for k in range(len(lost)) if labels[k] not in labels[:k]]
    return [*first, *(int(place) for place in lost if place not in first)][:EACH]


def _made(plan: Plan, evaluation: Evaluation, outcome: Outcome, places: list[int]) -> Iterator[Example]:
    attack, target = ATTACKS[outcome.attack], plan.target
    for place in places:
        indices = evaluation.indices[place : place + 1]
        target.under = plan.images, indices
        clean = to_float(plan.images.pixels(indices, plan.fit))
        goal = Goal(evaluation.labels[place : place + 1], None)
        streams = Streams.of(plan.seed, attack.name, indices)
        (changed,) = attack.results(target, clean, goal, [outcome.ball], streams)
        yield Example(place, outcome.attack, outcome.epsilon, clean[0], changed[0])
