"""Running a protocol on a model: which images survive which attack."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..artifacts.manifest import Manifest
from ..images import Fit, ImageSet
from ..images.imageset import to_float
from .attacks.base import Attack, Goal
from .attacks.catalogue import ATTACKS
from .attacks.streams import Streams
from .digests import image_digest
from .examples import Example, admits
from .judge import Judgement, judge
from .outcomes import FLAGS, IMAGE, Evaluation, Outcome
from .protocol import Protocol, counts, target_classes
from .target import Target

BatchDone = Callable[[int, str], None]
"""Called with the number of images just finished in one row, and the attack's name; first with no image and
how many of the first batch are right without an attack."""
Enough = Callable[[Evaluation, int], bool]
"""Called after each batch with the evaluation so far and the number of finished images, which are its first:
whether the others are left out. An evaluation ends on whole images this way, never inside a batch."""
Watch = Callable[[Outcome, np.ndarray, np.ndarray], None]
"""Called with a row, the places of images that it broke, int64 [b], and their adversarial versions."""

OTHERS = 256
"""Images of the data set, evenly of all classes, that attacks start from which need others."""


def evaluate(
    target: Target,
    images: ImageSet,
    indices: np.ndarray,
    protocol: Protocol,
    *,
    seed: int = 0,
    batch_size: int | Callable[[int], int] = 64,
    goals: np.ndarray | None = None,
    progress: BatchDone = lambda images, attack: None,
    start: Evaluation | None = None,
    keep: Callable[[Evaluation, int], None] = lambda evaluation, done: None,
    enough: Enough = lambda evaluation, done: False,
    watch: Watch = lambda outcome, places, adversarial: None,
) -> Evaluation:
    """Attack the images at `indices`, in this order, with every attack of `protocol`.

    An image counts as right under an attack only if it was right before and the file itself still decides for
    the true class on the clipped adversarial image.

    Args:
        target: the model under attack.
        images: data set whose labels index the model's classes.
        indices: which images.
        protocol: attacks and epsilons.
        seed: decides the target classes and every random draw.
        batch_size: images at a time, or what gives them from the number of finished images.
        goals: target class of every audited image, int64 [n]; None: drawn from the seed.
        progress: called after each batch.
        start: an interrupted evaluation to resume.
        keep: called with the evaluation and the number of finished images after each batch.
        enough: ends the evaluation early; what it returns then has the finished images alone. For these to
            be a random sample of all, `indices` must be in random order; see `Plan.in_random_order`.
        watch: called with the images that an attack broke.
    """
    evaluation = start or blank(target, images, indices, protocol)
    if goals is None:
        goals = target_classes(images.labels, len(target.model.manifest.classes), seed)[indices]
    fit = Fit.of(target.model.manifest.input)
    if any(ATTACKS[name].needs_others for name in protocol.attacks):
        target.others = to_float(images.pixels(images.sample(OTHERS, seed), fit))
    while (first := len(evaluation.digests)) < len(indices):
        size = batch_size if isinstance(batch_size, int) else batch_size(first)
        part = np.arange(first, min(first + size, len(indices)))
        pixels = images.pixels(indices[part], fit)
        labels = evaluation.labels[part]
        target.under = images, indices[part]
        batch = _Batch(target, evaluation, part, to_float(pixels), goals[part], seed, watch)
        batch.attack(protocol, progress)
        evaluation.digests += [image_digest(*pair) for pair in zip(pixels, labels, strict=True)]
        done = int(part[-1]) + 1
        keep(evaluation, done)
        if enough(evaluation, done):
            return evaluation.at(np.arange(done))
    return evaluation


def blank(target: Target, images: ImageSet, indices: np.ndarray, protocol: Protocol) -> Evaluation:
    """An empty evaluation of these images."""
    n = len(indices)
    evaluation = Evaluation(indices, images.labels[indices], np.full(n, -1), np.zeros(n, bool))
    evaluation.outcomes = _blank_outcomes(protocol, target.model.manifest, n)
    return evaluation


def _blank_outcomes(protocol: Protocol, manifest: Manifest, n: int) -> list[Outcome]:
    return [
        Outcome(attack, targeted, epsilon, protocol.ball(epsilon, manifest.input), np.zeros(n, IMAGE))
        for attack, targeted, epsilon in protocol.grid()
    ]


@dataclass
class _Batch:
    """One batch of images on its way through all attacks."""

    target: Target
    evaluation: Evaluation
    part: np.ndarray
    clean: np.ndarray
    goals: np.ndarray
    seed: int
    watch: Watch

    def attack(self, protocol: Protocol, progress: BatchDone) -> None:
        """Evaluate the clean images, then run every attack on them."""
        self.target.compare_next()
        seen = judge(self.target, self.clean, self.evaluation.labels[self.part])
        self.evaluation.decisions[self.part], self.evaluation.near[self.part] = seen.decisions, seen.near
        if self.part[0] == 0:  # the first figure, long before the first attack is done
            right = int(self.evaluation.right[self.part].sum())
            progress(0, f"clean: {right} of {len(self.part)} right")
        if protocol.ensemble:
            self._ensemble(seen, progress)
        else:
            self._sweeps(seen, progress)

    def _ensemble(self, seen: Judgement, progress: BatchDone) -> None:
        """Every attack on the survivors of those before it, the largest epsilon first.

        The balls are nested. An image that stands in the largest ball stands in the others, which it is not
        attacked in; one that is broken in a smaller ball is broken in the larger ones.
        """
        rounds: dict[float, list[Outcome]] = {}
        for outcome in sorted(self.evaluation.outcomes, key=lambda outcome: outcome.epsilon):
            rounds.setdefault(outcome.epsilon, []).append(outcome)
        largest = max(rounds)
        last = self._round(rounds.pop(largest), seen, None, self._worth, progress)
        near = last.near[self.part] == self.evaluation.near[self.part]
        open_ = self._worth & ~(last.right[self.part] & near)
        last = None
        for outcomes in rounds.values():
            last = self._round(outcomes, seen, last, open_, progress)

    def _round(
        self,
        outcomes: list[Outcome],
        seen: Judgement,
        earlier: Outcome | None,
        open_: np.ndarray,
        progress: BatchDone,
    ) -> Outcome:
        """All attacks at one epsilon on the images that are open and survived so far; the last outcome."""
        for outcome in outcomes:
            self._start(outcome, seen, earlier)
            if outcome.epsilon > 0:
                standing = open_ if earlier is None else open_ & outcome.right[self.part]
                self._run(ATTACKS[outcome.attack], [outcome], standing)
            progress(len(self.part), outcome.attack)
            earlier = outcome
        return outcomes[-1]

    def _sweeps(self, seen: Judgement, progress: BatchDone) -> None:
        """Every attack by itself, over all epsilons at once."""
        sweeps: dict[tuple[str, bool], list[Outcome]] = {}
        for outcome in self.evaluation.outcomes:
            sweeps.setdefault((outcome.attack, outcome.targeted), []).append(outcome)
            self._start(outcome, seen, None)
        for (name, _), outcomes in sweeps.items():
            attack = ATTACKS[name]
            chosen = np.ones(len(self.part), bool) if attack.everyone else self._worth
            self._run(attack, [outcome for outcome in outcomes if outcome.epsilon > 0], chosen)
            for _ in outcomes:
                progress(len(self.part), name)

    @property
    def _worth(self) -> np.ndarray:
        """Images of the batch that an attack can still change: bool [b]."""
        return self.evaluation.right[self.part] | self.evaluation.near[self.part]

    def _start(self, outcome: Outcome, seen: Judgement, earlier: Outcome | None) -> None:
        """Record the outcomes before the attack."""
        part = self.part
        if earlier is None:
            outcome.right[part] = outcome.rounded[part] = self.evaluation.right[part]
            outcome.near[part] = self.evaluation.near[part]
            outcome.rejected[part], outcome.misled[part] = seen.rejected, seen.misled
            outcome.reached[part] = seen.decisions == self.goals
        else:
            for flag in FLAGS:
                outcome.images[flag][part] = earlier.images[flag][part]

    def _run(self, attack: Attack, outcomes: list[Outcome], worth: np.ndarray) -> None:
        """Attack the images that are still right; clip each result and verify it on the file."""
        chosen = np.flatnonzero(worth)
        if not len(chosen) or not outcomes:
            return
        places, clean = self.part[chosen], self.clean[chosen]
        labels = self.evaluation.labels[places]
        goal = Goal(labels, self.goals[chosen] if outcomes[0].targeted else None)
        streams = Streams.of(self.seed, attack.name, self.evaluation.indices[places])
        balls = [outcome.ball for outcome in outcomes]
        whole = balls[-1].whole(clean.shape[1:]) if attack.minimal else None
        results = attack.results(self.target, clean, goal, [*balls, *([whole] if whole else [])], streams)
        for outcome in outcomes:
            started, asked, followed = time.perf_counter(), self.target.queries, self.target.gradients
            adversarial = next(results)
            if attack.stays_in_ball:
                adversarial = outcome.ball.settle(adversarial, clean, self.target.grid)
            if attack.everyone:
                self._answered(outcome, adversarial)
            else:
                apart = np.flatnonzero((adversarial != clean).any((1, 2, 3)))  # the rest is answered already
                self._enter(outcome, chosen[apart], clean[apart], adversarial[apart])
            outcome.moved[places] = outcome.ball.size(adversarial, clean)
            outcome.queries += self.target.queries - asked
            outcome.gradients += self.target.gradients - followed
            outcome.seconds += time.perf_counter() - started

        if whole:
            self._measure(outcomes, chosen, clean, whole.settle(next(results), clean, self.target.grid))

    def _measure(
        self, outcomes: list[Outcome], chosen: np.ndarray, clean: np.ndarray, nearest: np.ndarray
    ) -> None:
        """Record the sizes of the smallest perturbations, as far as the file confirms them."""
        places = self.part[chosen]
        broken = judge(self.target, nearest, self.evaluation.labels[places]).decisions
        missed = broken == self.evaluation.labels[places]
        for outcome in outcomes:
            size = outcome.epsilon * outcome.ball.in_radii(nearest, clean)
            outcome.smallest[places] = np.where(missed, np.inf, size)

    def _answered(self, outcome: Outcome, changed: np.ndarray) -> None:
        """Record the answers to the changed images of the whole batch, which have 8 bits."""
        seen = judge(self.target, changed, self.evaluation.labels[self.part])
        images = outcome.images
        images["right"][self.part] = images["rounded"][self.part] = (
            seen.decisions == self.evaluation.labels[self.part]
        )
        images["near"][self.part] = seen.near
        images["rejected"][self.part], images["misled"][self.part] = seen.rejected, seen.misled
        images["reached"][self.part] = seen.decisions == self.goals

    def _enter(
        self, outcome: Outcome, chosen: np.ndarray, clean: np.ndarray, adversarial: np.ndarray
    ) -> None:
        """Evaluate adversarial images on the file and record the outcomes."""
        places = self.part[chosen]
        labels = self.evaluation.labels[places]
        seen = judge(self.target, adversarial, labels)
        was_right = outcome.right[places]
        outcome.right[places] = (seen.decisions == labels) & was_right
        outcome.near[places] &= seen.near
        outcome.rejected[places], outcome.misled[places] = seen.rejected, seen.misled
        outcome.reached[places] = seen.decisions == self.goals[chosen]
        broken = np.flatnonzero(was_right & ~outcome.right[places])
        if not len(broken):
            return
        self.watch(outcome, places[broken], adversarial[broken])
        pixels = np.rint(adversarial[broken] * np.float32(255)) / np.float32(255)
        kept = judge(self.target, pixels.astype(np.float32), labels[broken]).decisions != labels[broken]
        outcome.rounded[places[broken[kept]]] = False
        self._show(outcome, places, clean, adversarial, broken)

    def _show(
        self,
        outcome: Outcome,
        places: np.ndarray,
        clean: np.ndarray,
        adversarial: np.ndarray,
        broken: np.ndarray,
    ) -> None:
        """Keep a few adversarial images."""
        examples, labels = self.evaluation.examples, self.evaluation.labels
        for k in broken:
            place = int(places[k])
            if (
                counts(outcome.attack)
                and not ATTACKS[outcome.attack].severities
                and admits(examples, place, labels)
            ):
                examples.append(Example(place, outcome.attack, outcome.epsilon, clean[k], adversarial[k]))
