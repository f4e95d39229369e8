"""Runs the diagnosis's own attacks, each only as far as a check needs its answer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..attacks.base import Attack, Ball
from ..attacks.catalogue import ATTACKS
from ..attacks.fgsm import FGSM
from ..attacks.iterative import Iterative
from ..attacks.pgd import PGD
from ..attacks.square import Square
from ..outcomes import Evaluation
from ..protocol import Protocol
from ..statistics import sign_test
from .checks import ALPHA
from .probes import Probes, telling_epsilon

STEPS = 20
QUERIES = 300
HUGE = 0.5
"""Half-width of the box in which every image can be turned grey."""
PAPER = {"fgsm", "iterative"}
"""The attacks of Chen et al. 2021."""

Names = Callable[[str], None]


def searched(
    probes: Probes, evaluation: Evaluation, protocol: Protocol, progress: Names
) -> dict[str, np.ndarray]:
    """What every attack of the diagnosis breaks, bool [n] by the name of its observation."""
    seen: dict[str, np.ndarray] = {"grey": probes.labels != probes.decision_on_grey()}
    if probes.target.gradient_missing is not None:
        return seen
    run = Searches(probes, progress)
    descent = PGD(steps=STEPS, loss="margin")
    base = seen["iterative"] = run("iterative", descent)
    seen["longer"] = run.compared("longer", PGD(steps=2 * STEPS, loss="margin"), base, ~base)
    seen["wider"] = run.compared("wider", descent, base, base, probes.scaled(2))
    huge = Ball("linf", np.full((1, 1, 1), HUGE, np.float32))
    seen["huge"] = run("huge", descent, huge, seen["grey"])
    if probes.ball.norm == "linf":
        seen["single_step"] = run.compared("single step", FGSM(), base, ~base)
    audited = {outcome.attack for outcome in evaluation.outcomes}
    if probes.ball.norm == "linf" and probes.target.loss == "smooth-l1" and audited & PAPER:
        seen["paper"] = run("paper", Iterative())
    shared = black_box_of(evaluation, protocol)
    if shared is None:
        left = ~(seen["iterative"] | seen["longer"])
        seen["black_box"] = run("black box", Square(queries=QUERIES), None, left)
    else:
        seen["black_box"] = shared[probes.places]
    return seen


class Searches:
    """Runs attacks on the probes, and names each before it runs."""

    def __init__(self, probes: Probes, progress: Names) -> None:
        self.probes, self.progress = probes, progress

    def __call__(
        self, name: str, attack: Attack, ball: Ball | None = None, chosen: np.ndarray | None = None
    ) -> np.ndarray:
        """Which of the chosen images the attack breaks: bool [n]."""
        self.progress(name)
        return self.probes.broken_by(attack, ball, chosen, name)

    def compared(
        self, name: str, attack: Attack, base: np.ndarray, first: np.ndarray, ball: Ball | None = None
    ) -> np.ndarray:
        """What an attack breaks, as far as a paired test against `base` needs it: bool [n].

        The attack runs on the images of `first`, where a difference speaks for a fault. Where these
        differences alone would not raise an alarm, no outcome of the other images could: then it does not
        run on these, and they count as equal.
        """
        found = base.copy()
        found[first] = self(name, attack, ball, first)[first]
        if 1 - sign_test(int((found != base).sum()), 0) > 1 - ALPHA:
            found[~first] = self(name, attack, ball, ~first)[~first]
        return found


def black_box_of(evaluation: Evaluation, protocol: Protocol) -> np.ndarray | None:
    """Which of the audited images the audit's own Square attack broke at the epsilon of the probes, bool [n].

    In an ensemble it runs on what the attacks before it leave; what these break is no image of a black-box
    attack alone. None: the protocol has no such attack with at least as many queries as the probe, or its
    norm is not the probes'.
    """
    if protocol.norm not in ("linf", "l2"):
        return None
    epsilon = telling_epsilon(evaluation)
    found = None
    for outcome, own in zip(evaluation.outcomes, evaluation.broken(protocol.ensemble), strict=True):
        attack = ATTACKS[outcome.attack]
        enough = isinstance(attack, Square) and attack.queries >= QUERIES and not outcome.targeted
        if enough and (outcome.epsilon == epsilon or (protocol.ensemble and outcome.epsilon < epsilon)):
            found = own if found is None else found | own
    return found
