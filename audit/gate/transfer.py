"""Whether adversarial images of one model fool another one (Papernot, McDaniel and Goodfellow 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec
import numpy as np

from ...artifacts import ExportedModel, decide
from ...documents import json_of
from ...errors import VivavoceError
from ...images import Fit
from ...images.imageset import to_float
from ...text import numbered
from ..evaluate import evaluate
from ..outcomes import Outcome
from ..plan import Plan, Settings, source_of
from ..protocol import PROTOCOLS, Protocol
from ..run import Progress
from ..statistics import wilson
from ..target import Target
from .pairing import class_differences

TOWARDS = msgspec.structs.replace(PROTOCOLS["standard"], attacks=("fgsm", "iterative"), ensemble=False)
"""What makes the examples by default. Both attacks take all their steps: those that stop as soon as an image
is broken end at the model's own boundary, and transfer less."""


class Passed(msgspec.Struct, frozen=True):
    """One attack at one epsilon on one model, and what its examples do to the other."""

    source: str
    """File of the model that was attacked."""
    other: str
    attack: str
    targeted: bool
    size: str
    """Epsilon in words."""
    made: int
    """Examples that fool the source, of images that both models decide correctly when clean."""
    passed: int
    """Of those, the examples that fool the other model too."""

    @property
    def share(self) -> float | None:
        """Share of the examples that fool the other model, in 0..1; None without examples."""
        return self.passed / self.made if self.made else None

    @property
    def interval(self) -> tuple[float, float]:
        """95 % Wilson interval of the share."""
        return wilson(self.passed, self.made)


class Transfer(msgspec.Struct, frozen=True):
    """The result of `audit compare A B --transfer`."""

    before: str
    after: str
    data: str
    n: int
    """Audited images."""
    both: int
    """Of those, the images that both models decide correctly."""
    rows: tuple[Passed, ...]

    @property
    def summary(self) -> str:
        """One sentence for each direction."""
        parts = []
        for source, other in ((self.before, self.after), (self.after, self.before)):
            rows = [row for row in self.rows if (row.source, row.other) == (source, other) and row.made]
            worst = max(rows, key=lambda row: row.passed / row.made, default=None)
            if worst is None:
                parts.append(f"no example fools {source}")
            else:
                share = f"{worst.passed / worst.made:.1%} ({worst.attack}, {worst.size})"
                parts.append(f"of the examples that fool {source}, up to {share} fool {other}")
        return "; ".join(parts)

    def to_json(self) -> bytes:
        """Everything as indented JSON, with the shares and their intervals."""
        rows = [msgspec.structs.asdict(r) | {"share": r.share, "interval": r.interval} for r in self.rows]
        return json_of({"summary": self.summary} | msgspec.structs.asdict(self) | {"rows": rows})


def transfer(
    before: ExportedModel,
    after: ExportedModel,
    settings: Settings | None = None,
    progress: Progress = lambda *_: None,
) -> Transfer:
    """Attack each model, and give the examples that fool it to the other one.

    Args:
        before: a model.
        after: another, with the same classes and images of the same size.
        settings: the data, the sample, and which attacks make the examples; None: FGSM and the iterative
            method.
        progress: as for `robustness`.

    Raises:
        VivavoceError: the models do not fit together, or the data do not fit them.
    """
    _check_fit(before, after)
    settings = settings or Settings()
    protocol = settings.protocol or TOWARDS
    if protocol.natural:
        raise VivavoceError("--transfer needs attacks, and --protocol natural has none")
    if protocol.epsilon_space == "normalized" and protocol.std is None:
        protocol = msgspec.structs.replace(protocol, std=before.manifest.input.std)
    settings = replace(settings, protocol=protocol, data=source_of(before, settings.data))
    plans = [Plan.of(source, settings) for source in (before, after)]
    both = np.all([_right(plan) for plan in plans], axis=0)
    rows: list[Passed] = []
    names = numbered((before.path.name, after.path.name))
    for plan, other, pair in zip(plans, (after, before), (names, names[::-1]), strict=True):
        for epsilon in (epsilon for epsilon in plan.protocol.epsilons if epsilon > 0):
            single = msgspec.structs.replace(plan.protocol, epsilons=(epsilon,))
            rows += _passed(replace(plan, protocol=single), other, pair, both, progress)
    return Transfer(names[0], names[1], plans[0].images.name, len(both), int(both.sum()), tuple(rows))


def _check_fit(before: ExportedModel, after: ExportedModel) -> None:
    """Check that both models decide between the same classes, for images of the same size."""
    found = list(class_differences(before.manifest.classes, after.manifest.classes))
    entries = [model.manifest.input for model in (before, after)]
    old, new = (f"{entry.channels} x {entry.height} x {entry.width}" for entry in entries)
    if old != new:
        found.append(f"images of {new} (channels x height x width) instead of {old}")
    if found:
        raise VivavoceError(
            f"{after.path.name} cannot get the examples of {before.path.name}: {'; '.join(found)}"
        )


def _right(plan: Plan) -> np.ndarray:
    """Which images the model of a plan decides correctly: bool [n]."""
    parts = []
    for first in range(0, len(plan.indices), plan.batch_size):
        some = plan.indices[first : first + plan.batch_size]
        images = to_float(plan.images.pixels(some, Fit.of(plan.target.model.manifest.input)))
        parts.append(decide(plan.target.answer(images).scores) == plan.images.labels[some])
    return np.concatenate(parts)


def _passed(
    plan: Plan, other: ExportedModel, names: Sequence[str], both: np.ndarray, progress: Progress
) -> list[Passed]:
    """One direction at one epsilon: a row for every attack; `names` of the attacked model and the other."""
    counts: dict[tuple[str, bool], list[int]] = {key[:2]: [0, 0] for key in plan.protocol.grid()}
    witness, labels = Target(other), plan.images.labels[plan.indices]
    witness.limit(plan.batch_size, only_answers=True)

    def watch(outcome: Outcome, places: np.ndarray, adversarial: np.ndarray) -> None:
        counted = both[places]
        if counted.any():
            seen = decide(witness.answer(adversarial[counted]).scores)
            tally = counts[outcome.attack, outcome.targeted]
            tally[0] += len(seen)
            tally[1] += int((seen != labels[places[counted]]).sum())

    steps, done = len(plan.indices) * len(counts), 0

    def advance(count: int, attack: str) -> None:
        nonlocal done
        done += count
        progress(f"{attack} on {names[0]}", done, steps)

    evaluate(
        plan.target, plan.images, plan.indices, plan.protocol,
        seed=plan.seed, batch_size=plan.batch_size, goals=plan.goals, progress=advance, watch=watch,
    )  # fmt: skip
    (epsilon,) = plan.protocol.epsilons
    size = plan.protocol.in_words(epsilon)
    return [
        Passed(names[0], names[1], attack, targeted, size, made, passed)
        for (attack, targeted), (made, passed) in counts.items()
    ]


def chosen_protocol(name: str | None, epsilons: list[float]) -> Protocol:
    """The attacks that make the examples: a protocol's, at its largest epsilon or at the given ones."""
    from ..protocol import resolve

    if name is not None:
        protocol = resolve(name, epsilons=epsilons)
    else:
        protocol = resolve("standard", TOWARDS.attacks, epsilons)
        protocol = msgspec.structs.replace(protocol, ensemble=False)
    if not epsilons and not protocol.natural:
        protocol = msgspec.structs.replace(protocol, epsilons=protocol.epsilons[-1:])
    return protocol
