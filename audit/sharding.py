"""Splits one audit into shards that are attacked separately, and merges their results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..artifacts import ExportedModel
from ..images import ImageSet
from .evaluate import blank, evaluate
from .examples import joined
from .outcomes import TALLIES, Evaluation
from .protocol import Protocol
from .target import Target


@dataclass(frozen=True, kw_only=True)
class Shard:
    """Images of an audit, with everything that determines their outcomes."""

    indices: np.ndarray
    """int64 [n]: their places in the data set."""
    goals: np.ndarray
    """int64 [n]: their target classes."""
    protocol: Protocol
    seed: int
    batch_size: int
    patterns: dict[tuple[str, ...], np.ndarray] = field(default_factory=dict)
    """What universal attacks have learned."""

    def __len__(self) -> int:
        return len(self.indices)

    def cut(self, count: int) -> list[Shard]:
        """At most `count` shards of whole batches, so that every batch is attacked as it would be without."""
        batches = -(-len(self) // self.batch_size)
        runs = np.array_split(np.arange(batches), min(count, batches))
        starts = [int(run[0]) * self.batch_size for run in runs]
        ends = [*starts[1:], len(self)]
        return [
            replace(self, indices=self.indices[a:b], goals=self.goals[a:b])
            for a, b in zip(starts, ends, strict=True)
        ]


@dataclass(frozen=True)
class Found:
    """What was found on one shard."""

    evaluation: Evaluation
    queries: int
    gradients: int
    dead: int
    compared: int
    strayed: int
    not_finite: int
    notes: list[str]


Spread = Callable[[Shard, Target, ImageSet, Callable[[int, str], None]], Evaluation]
"""Attacks the images of an audit elsewhere, adds to the target's counters, and reports progress."""


def attack(model: ExportedModel, images: ImageSet, shard: Shard) -> Found:
    """Attack one shard with a freshly opened model."""
    target = Target(model, straight_through=True)
    target.limit(shard.batch_size, only_answers=shard.protocol.natural)
    target.patterns = shard.patterns
    found = evaluate(
        target, images, shard.indices, shard.protocol,
        seed=shard.seed, batch_size=shard.batch_size, goals=shard.goals,
    )  # fmt: skip
    return Found(
        found, target.queries, target.gradients, target.dead,
        target.compared, target.strayed, target.not_finite, target.notes,
    )  # fmt: skip


def merge(whole: Shard, parts: Sequence[Found], target: Target, images: ImageSet) -> Evaluation:
    """Merge the results of all shards, in order, into what one evaluation would have found.

    Args:
        whole: what was cut.
        parts: of every shard.
        target: gets the parts' tallies and notes.
        images: the data set.
    """
    merged = blank(target, images, whole.indices, whole.protocol)
    found = [part.evaluation for part in parts]
    merged.decisions = np.concatenate([f.decisions for f in found])
    merged.near = np.concatenate([f.near for f in found])
    merged.digests = [digest for f in found for digest in f.digests]
    for k, outcome in enumerate(merged.outcomes):
        outcome.images = np.concatenate([f.outcomes[k].images for f in found])
        for name in TALLIES:
            setattr(outcome, name, sum(getattr(f.outcomes[k], name) for f in found))
    firsts = np.cumsum([0, *(len(f.indices) for f in found)])
    examples = (
        replace(example, place=int(first) + example.place)
        for first, f in zip(firsts, found, strict=False)
        for example in f.examples
    )
    merged.examples = joined(examples, merged.labels)
    for part in parts:
        target.queries += part.queries
        target.gradients += part.gradients
        target.dead += part.dead
        target.compared += part.compared
        target.strayed += part.strayed
        target.not_finite += part.not_finite
        for note in part.notes:
            target.note(note)
    return merged
