"""Runs the diagnosis's own attacks on one fixed set of images and records the outcomes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..attacks.base import Attack, Ball, Goal
from ..attacks.fgsm import FGSM
from ..attacks.iterative import Iterative
from ..attacks.pgd import PGD
from ..attacks.square import Square
from ..attacks.streams import Streams
from ..judge import judge
from ..outcomes import Evaluation
from ..target import Target
from .observations import Observations

IMAGES = 64
"""Images of the diagnosis."""
STEPS = 20
QUERIES = 300
HUGE = 0.5
"""Half-width of the box in which every image can be turned grey."""
PAPER = {"fgsm", "iterative"}
"""The attacks of Chen et al. 2021."""


@dataclass
class Probes:
    """The fixed set of images, and how to run an attack on it."""

    target: Target
    clean: np.ndarray
    """float32 [n, C, H, W], all decided correctly."""
    labels: np.ndarray
    indices: np.ndarray
    """int64 [n]: places in the data set, for the random streams."""
    ball: Ball
    seed: int

    def broken_by(self, attack: Attack, ball: Ball | None = None) -> np.ndarray:
        """Which images an attack breaks, confirmed by the file: bool [n]."""
        ball = ball or self.ball
        return np.concatenate([self._broken(attack, ball, part) for part in self.parts])

    def _broken(self, attack: Attack, ball: Ball, part: slice) -> np.ndarray:
        clean, labels = self.clean[part], self.labels[part]
        streams = Streams.of(self.seed, f"diagnosis {attack.name}", self.indices[part])
        (result,) = attack.sweep(self.target, clean, Goal(labels, None), [ball], streams)
        adversarial = ball.settle(result, clean, self.target.grid)
        return judge(self.target, adversarial, labels).decisions != labels

    @property
    def parts(self) -> list[slice]:
        """The images in batches of the audit's size."""
        count = len(self.labels)
        size = self.target.at_a_time or count
        return [slice(k, k + size) for k in range(0, count, size)]

    def scaled(self, factor: float) -> Ball:
        """The ball, larger."""
        return Ball(self.ball.norm, self.ball.radius * np.float32(factor))


def telling_epsilon(evaluation: Evaluation) -> float:
    """The epsilon at which about half of the images survive the protocol, where probes differ most."""
    half = evaluation.right.mean() / 2
    grid = sorted({o.epsilon for o in evaluation.outcomes if o.epsilon > 0} or {0.0})
    return min(grid, key=lambda epsilon: abs(evaluation.robust(epsilon).mean() - half))


def choose(evaluation: Evaluation, seed: int) -> np.ndarray:
    """Places among the audited images of the diagnosis's: right ones, drawn from the seed, in order."""
    right = np.flatnonzero(evaluation.right)
    return np.sort(np.random.default_rng(seed).permutation(right)[:IMAGES])


def observe(
    probes: Probes,
    evaluation: Evaluation,
    progress: Callable[[str], None] = lambda name: None,
) -> Observations:
    """Run every probe.

    Args:
        probes: the images and the ball.
        evaluation: the audit itself.
        progress: called with each probe before it runs.
    """
    target = probes.target
    seen: dict[str, Any] = {}
    if len(probes.labels) and probes.ball.radius.max() > 0:
        for name, attack, ball in _attacks(probes, {outcome.attack for outcome in evaluation.outcomes}):
            if target.gradient_missing is None or name == "black_box":
                progress(name)
                seen[name] = probes.broken_by(attack, ball)
        progress("answers")
        seen |= _answers(probes)
        grey = np.full((1, *probes.clean.shape[1:]), HUGE, np.float32)
        seen["grey"] = judge(target, grey, probes.labels[:1]).decisions[0] != probes.labels
    seen |= _paper_and_margin(evaluation, seen)
    broken = [o.right != evaluation.right for o in evaluation.outcomes]
    kept = [(o.rounded != evaluation.right) & b for o, b in zip(evaluation.outcomes, broken, strict=True)]
    return Observations(
        classes=len(target.model.manifest.classes),
        epsilon=float(probes.ball.radius.max()),
        clean_correct=int(evaluation.right.sum()),
        clean_total=len(evaluation.labels),
        dead=target.dead / max(target.gradients, 1),
        gradients_missing=target.gradient_missing,
        piecewise_constant=target.piecewise_constant,
        strayed=(target.compared, target.strayed),
        not_finite=(target.not_finite, target.queries),
        largest=max(
            (float(o.ball.radius.max()) for o in evaluation.outcomes if o.ball.norm in ("linf", "l2")),
            default=None,
        ),
        rounded=(int(np.sum(broken)), int(np.sum(kept))),
        **seen,
    )


def observe_answers(probes: Probes, evaluation: Evaluation) -> Observations:
    """What the model answers to the clean images, for protocols without attacks."""
    target = probes.target
    seen: dict[str, Any] = dict(_scores(probes)) if len(probes.labels) else {}
    return Observations(
        classes=len(target.model.manifest.classes),
        epsilon=0.0,
        clean_correct=int(evaluation.right.sum()),
        clean_total=len(evaluation.labels),
        dead=0.0,
        not_finite=(target.not_finite, target.queries),
        **seen,
    )


def _attacks(probes: Probes, audited: set[str]) -> list[tuple[str, Attack, Ball | None]]:
    """Probe by the name of its observation; `audited` are the attacks of the audit itself."""
    huge = Ball("linf", np.full((1, 1, 1), HUGE, np.float32))
    attacks: list[tuple[str, Attack, Ball | None]] = [
        ("iterative", PGD(steps=STEPS, loss="margin"), None),
        ("longer", PGD(steps=2 * STEPS, loss="margin"), None),
        ("wider", PGD(steps=STEPS, loss="margin"), probes.scaled(2)),
        ("huge", PGD(steps=STEPS, loss="margin"), huge),
        ("black_box", Square(queries=QUERIES), None),
    ]
    if probes.ball.norm == "linf":
        attacks.append(("single_step", FGSM(), None))
    if probes.ball.norm == "linf" and probes.target.loss == "smooth-l1" and audited & PAPER:
        attacks.append(("paper", Iterative(), None))
    return attacks


def _paper_and_margin(evaluation: Evaluation, seen: dict[str, Any]) -> dict[str, Any]:
    """What the paper's attack and one on the margin break: in the audit's rows, or else of the probes."""
    rows = {(o.attack, o.epsilon): o.right for o in evaluation.outcomes if not o.targeted and o.epsilon > 0}
    grid = sorted({e for attack, e in rows if attack == "margin" and ("iterative", e) in rows})
    if not grid:
        margin = seen.get("iterative") if "paper" in seen else None
        return {"margin": margin, "compared_at": (telling_epsilon(evaluation), 1)}
    gap = {e: int(rows["iterative", e].sum()) - int(rows["margin", e].sum()) for e in grid}
    widest = max(grid, key=lambda epsilon: gap[epsilon])
    paper, margin = (~rows[attack, widest][evaluation.right] for attack in ("iterative", "margin"))
    return {"paper": paper, "margin": margin, "compared_at": (widest, len(grid))}


def _answers(probes: Probes) -> dict[str, np.ndarray]:
    """Scores of the clean images, and which decisions change under tiny random changes."""
    flips = np.concatenate([_flipped(probes, part) for part in probes.parts])
    return _scores(probes) | {"flips": flips}


def _scores(probes: Probes) -> dict[str, np.ndarray]:
    """Scores of the clean images once, again, and in other batches."""
    target, n = probes.target, len(probes.labels)
    once = target.answer(probes.clean).scores
    again = target.answer(probes.clean).scores
    order = np.random.default_rng(probes.seed).permutation(n)
    parts = [target.answer(probes.clean[part]).scores for part in np.array_split(order, max(1, n // 5))]
    apart = np.empty_like(once)
    apart[order] = np.concatenate(parts)
    return {"scores": once, "scores_again": again, "scores_apart": apart}


def _flipped(probes: Probes, part: slice) -> np.ndarray:
    """Which images the file decides otherwise after a tiny random change: bool [n]."""
    clean, labels = probes.clean[part], probes.labels[part]
    streams = Streams.of(probes.seed, "diagnosis flips", probes.indices[part])
    nudged = clean + streams.signs(0, clean.shape[1:]) * probes.ball.radius / np.float32(1000)
    return judge(probes.target, np.clip(nudged, 0, 1), labels).decisions != labels
