"""The diagnosis runs its attacks only where they decide something, and never decides otherwise for that."""

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from vivavoce.audit.attacks.base import Ball
from vivavoce.audit.attacks.fgsm import FGSM
from vivavoce.audit.diagnosis.observations import Observations
from vivavoce.audit.diagnosis.probes import Probes, most
from vivavoce.audit.diagnosis.searches import Searches, black_box_of
from vivavoce.audit.diagnosis.table import diagnose
from vivavoce.audit.outcomes import IMAGE, Evaluation, Outcome
from vivavoce.audit.protocol import resolve
from vivavoce.images import Fit

N = 64
BARE = Observations(classes=10, epsilon=0.03, clean_correct=95, clean_total=100, dead=0.0)
CHECKS = {
    "longer": ("still moving", False),
    "wider": ("larger epsilon does worse", True),
    "single_step": ("single step beats iterative", False),
}
"""The check of each compared attack, and whether it runs first on what the base breaks."""


@pytest.mark.parametrize("field", CHECKS)
def test_curtailed_attacks_lead_to_the_level_of_whole_ones(field):
    check, on_broken = CHECKS[field]
    draw, levels, saved = np.random.default_rng(0), set(), 0
    for _ in range(300):
        base = draw.random(N) < draw.random()
        wrong, other = (
            draw.random(2) * 0.4
        )  # shares that differ in the direction of a fault, and in the other
        first = base if on_broken else ~base
        whole = base ^ (draw.random(N) < np.where(first, wrong, other))
        asked = np.zeros(N, bool)

        def broken_by(attack, ball, chosen, name, whole=whole, asked=asked):
            asked[chosen] = True
            return whole & chosen

        run = Searches(cast(Probes, SimpleNamespace(broken_by=broken_by)), lambda name: None)
        found = run.compared("made up", FGSM(), base, first)
        seen = replace(BARE, iterative=base)
        pair = [
            next(c.level for c in diagnose(replace(seen, **{field: array})) if c.name == check)
            for array in (whole, found)
        ]
        assert pair[0] == pair[1]
        levels.add(pair[0])
        saved += int((~asked).sum())
    assert len(levels) == 2, "both answers came up"
    assert saved > 0


def audited(survivors, ensemble=True):
    """An evaluation of four images in these rows, at the only epsilon or at rising ones."""
    zeros = np.zeros(4, np.int64)
    evaluation = Evaluation(zeros, zeros, zeros, np.zeros(4, bool))
    for (attack, epsilon), right in survivors.items():
        ball = Ball("linf", np.full((1, 1, 1), epsilon, np.float32))
        outcome = Outcome(attack, False, epsilon, ball, np.zeros(4, IMAGE))
        outcome.right[:] = right
        evaluation.outcomes.append(outcome)
    return evaluation


def test_what_square_breaks_in_an_ensemble_is_what_gradients_left():
    rows = {("pgd", 0.1): [0, 0, 1, 1], ("square-300", 0.1): [0, 0, 0, 1]}
    found = black_box_of(audited(rows), resolve("quick", epsilons=[0.1]))
    np.testing.assert_array_equal(found, [0, 0, 1, 0])


def test_square_of_a_sweep_counts_on_its_own():
    rows = {("pgd", 0.1): [0, 0, 1, 1], ("square-300", 0.1): [0, 1, 0, 1]}
    protocol = resolve("paper", ["pgd", "square-300"], [0.1])
    np.testing.assert_array_equal(black_box_of(audited(rows), protocol), [1, 0, 1, 0])


def test_protocols_without_square_need_a_probe():
    assert black_box_of(audited({("pgd", 0.1): [0, 0, 1, 1]}), resolve("quick", ["pgd"], [0.1])) is None


def test_large_images_are_fewer():
    assert {side: most(Fit(side, side, 3)) for side in (28, 64, 128, 224, 640)} == {
        28: 64,
        64: 64,
        128: 50,
        224: 16,
        640: 16,
    }
