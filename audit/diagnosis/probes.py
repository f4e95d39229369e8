"""Runs the diagnosis's own attacks on one fixed set of images and writes down what happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..attacks.base import Attack, Ball, Goal
from ..attacks.fgsm import FGSM
from ..attacks.iterative import Iterative
from ..attacks.pgd import PGD
from ..attacks.square import Square
from ..attacks.streams import Streams
from ..evaluate import Evaluation
from ..judge import judge
from ..target import Target
from .observations import Observations

IMAGES = 64
"""Images of the diagnosis."""
STEPS = 20
QUERIES = 300
HUGE = 0.5
"""Half-width of the box in which nothing should survive."""


@dataclass
class Probes:
    """The fixed set of images, and how to put an attack on it."""

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
        streams = Streams.of(self.seed, f"diagnosis {attack.name}", self.indices)
        (result,) = attack.sweep(self.target, self.clean, Goal(self.labels, None), [ball], streams)
        adversarial = ball.confine(result, self.clean)
        return judge(self.target, adversarial, self.labels).decisions != self.labels

    def scaled(self, factor: float) -> Ball:
        """The ball, larger."""
        return Ball(self.ball.norm, self.ball.radius * np.float32(factor))


def telling_epsilon(evaluation: Evaluation) -> float:
    """The epsilon at which about half of the images stand the protocol: where probes tell most apart."""
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
        progress: told of each probe before it runs.
    """
    target = probes.target
    seen: dict[str, np.ndarray | None] = {}
    if len(probes.labels) and probes.ball.radius.max() > 0:
        for name, attack, ball in _attacks(probes):
            if target.gradient_missing is None or name == "black_box":
                progress(name)
                seen[name] = probes.broken_by(attack, ball)
        progress("answers")
        seen |= _answers(probes)
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
        rounded=(int(np.sum(broken)), int(np.sum(kept))),
        **seen,
    )


def _attacks(probes: Probes) -> list[tuple[str, Attack, Ball | None]]:
    """Probe by the name of its observation."""
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
    if probes.ball.norm == "linf" and probes.target.loss == "smooth-l1":
        attacks.append(("paper", Iterative(), None))
    return attacks


def _paper_and_margin(
    evaluation: Evaluation, seen: dict[str, np.ndarray | None]
) -> dict[str, np.ndarray | None]:
    """What the paper's attack and one on the margin break: of the audit's rows, or else of the probes."""
    epsilon = telling_epsilon(evaluation)
    rows = {o.attack: o for o in evaluation.outcomes if o.epsilon == epsilon and not o.targeted}
    if {"iterative", "margin"} <= rows.keys():
        right = evaluation.right
        return {"paper": ~rows["iterative"].right[right], "margin": ~rows["margin"].right[right]}
    return {"margin": seen.get("iterative") if "paper" in seen else None}


def _answers(probes: Probes) -> dict[str, np.ndarray | None]:
    """Scores of the clean images once, again, in other batches; and under tiny random changes."""
    target, n = probes.target, len(probes.labels)
    once = target.answer(probes.clean).scores
    again = target.answer(probes.clean).scores
    order = np.random.default_rng(probes.seed).permutation(n)
    parts = [target.answer(probes.clean[part]).scores for part in np.array_split(order, max(1, n // 5))]
    apart = np.empty_like(once)
    apart[order] = np.concatenate(parts)
    streams = Streams.of(probes.seed, "diagnosis flips", probes.indices)
    nudged = probes.clean + streams.signs(0, probes.clean.shape[1:]) * probes.ball.radius / np.float32(1000)
    flips = judge(target, np.clip(nudged, 0, 1), probes.labels).decisions != probes.labels
    return {"scores": once, "scores_again": again, "scores_apart": apart, "flips": flips}
