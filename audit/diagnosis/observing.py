"""Collects what the checks of the diagnosis look at."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..attacks.catalogue import ATTACKS
from ..attacks.streams import Streams
from ..judge import judge
from ..outcomes import Evaluation
from ..protocol import Protocol
from .observations import Observations
from .probes import Probes, telling_epsilon
from .searches import Names, searched


def observe(
    probes: Probes, evaluation: Evaluation, protocol: Protocol, progress: Names = lambda name: None
) -> Observations:
    """Run every probe.

    Args:
        probes: the images and the ball.
        evaluation: the audit itself.
        protocol: its protocol.
        progress: called with each probe before it runs.
    """
    target = probes.target
    seen: dict[str, Any] = {}
    if len(probes.labels) and probes.ball.radius.max() > 0:
        seen |= searched(probes, evaluation, protocol, progress)
        progress("answers")
        seen |= _answers(probes)
    seen |= _paper_and_margin(evaluation, seen)
    return Observations(
        classes=len(target.model.manifest.classes),
        epsilon=float(probes.ball.radius.max()),
        clean_correct=int(evaluation.right.sum()),
        clean_total=len(evaluation.labels),
        dead=target.dead / max(target.gradients, 1),
        gradients_missing=target.gradient_missing,
        gradients_estimated=target.estimated,
        piecewise_constant=target.piecewise_constant,
        strayed=(target.compared, target.strayed),
        not_finite=(target.not_finite, target.queries),
        largest=max(
            (float(o.ball.radius.max()) for o in evaluation.outcomes if o.ball.norm in ("linf", "l2")),
            default=None,
        ),
        **rounding(evaluation, protocol),
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


def rounding(evaluation: Evaluation, protocol: Protocol) -> dict[str, Any]:
    """Adversarial examples, and those that stay adversarial as 8-bit pixels.

    Attacks that look for the decision boundary leave their examples on it, where rounding moves them across
    half the time whatever the model; theirs do not count.
    """
    found, kept, on_boundary = 0, 0, 0
    for outcome, own in zip(evaluation.outcomes, evaluation.broken(protocol.ensemble), strict=True):
        if ATTACKS[outcome.attack].on_boundary:
            on_boundary += int(own.sum())
        else:
            found += int(own.sum())
            kept += int((own & ~outcome.rounded).sum())
    return {"rounded": (found, kept), "on_boundary": on_boundary}


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
