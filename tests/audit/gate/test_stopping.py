"""When a check may end early: the decision is what all images would show, up to a small error."""

import itertools
import math

import numpy as np
import pytest
from simulation import outcomes, stopped

from vivavoce.audit import Limits
from vivavoce.audit.gate.rows import pair_up
from vivavoce.audit.gate.stopping import FOR_FAILING, FOR_PASSING, Row, Stopping, _most_up, level
from vivavoce.audit.statistics import sign_test


@pytest.mark.parametrize(("n", "alpha"), [(40, 0.05), (150, 0.005), (150, 0.049)])
def test_the_most_gains_with_which_the_test_rejects(n, alpha):
    """Against the test itself, for every number of images lost."""
    for down, most in enumerate(_most_up(n, alpha)):
        rejecting = [up for up in range(n - down + 1) if sign_test(down, up) <= alpha]
        assert min(most, n - down) == max(rejecting, default=-1)


def decision(pairs):
    return "failed" if any(row.result == "failed" for row in pair_up(pairs, Limits())) else "passed"


def test_what_is_certain_is_decided_and_nothing_else():
    """With no error allowed, a row fails or passes as soon as every end leads there, and not before."""
    n, draw = 30, np.random.default_rng(0)
    rule_alpha = 0.05
    for _ in range(40):
        ((old, new),) = outcomes(draw, n, 1, 0.3, draw.choice([0, 0.3]), 1, right=0.8)
        before, after = old.values.astype(int), new.values.astype(int)
        rule = Stopping([Row(before, 1, 1.0)], rule_alpha, 1)
        for m in (10, 20, 26, 30):
            state = rule._state(rule.rows[0], after[:m])
            lost, gained = int((after[:m] < before[:m]).sum()), int((after[:m] > before[:m]).sum())
            right = int(before[m:].sum())
            ends = [
                sign_test(lost + d, gained + u) <= level(rule_alpha) and lost + d - gained - u > 0.01 * n
                for d, u in itertools.product(range(right + 1), range(n - m - right + 1))
            ]
            assert state.fails(1e-300) == all(ends)
            assert state.can_fail(1e-300, 1) == any(ends)


@pytest.mark.parametrize("steps", [1, 4])
def test_each_error_is_as_rare_as_it_is_said_to_be(steps):
    """The worst case for each: all images just fail, and just pass. Only the order is random."""
    n, draw = 200, np.random.default_rng(steps)
    alpha = 0.25  # so that errors are frequent enough to be counted
    lost = math.ceil(-math.log2(level(alpha)))
    for down, wrong, most in ((lost + 2, "passed", FOR_PASSING), (lost - 1, "failed", FOR_FAILING)):
        before = np.full(n, steps)
        after = before.copy()
        after[:down] = 0
        errors = 0
        for _ in range(200):
            order = draw.permutation(n)
            found, _ = stopped([(before[order], after[order])], steps, alpha, tolerance=0, looks=10)
            errors += found == wrong
        assert errors / 200 <= most * alpha + 0.02


@pytest.mark.parametrize(
    ("discordant", "drop", "right"), [(0.0, 0.0, 0.9), (0.05, 0.0, 0.6), (0.1, 0.1, 0.6), (0.3, 0.3, 0.9)]
)
def test_the_decision_is_that_of_all_images(discordant, drop, right):
    draw, shares, wrong = np.random.default_rng(7), [], 0
    for _ in range(25):
        pairs = outcomes(draw, 400, 5, discordant, drop, 1, right)
        values = [(old.values.astype(int), new.values.astype(int)) for old, new in pairs]
        found, images = stopped(values, 1, 0.05)
        shares.append(images / 400)
        wrong += found is not None and found != decision(pairs)
    assert wrong == 0
    if discordant in (0.0, 0.3):
        assert np.mean(shares) < 0.7


def test_rows_of_several_steps_use_their_sizes():
    """As many images down, which lose everything or a single step."""
    n = 400
    before = np.full(n, 10)
    order = np.random.default_rng(3).permutation(n)
    for left, decided in ((0, "failed"), (9, None)):
        after = before.copy()
        after[:30] = left  # a drop of 7.5 points, or of 0.75
        assert stopped([(before[order], after[order])], 10, 0.05)[0] == decided
    assert stopped([(before, before)], 10, 0.05)[0] == "passed"


def test_rows_of_other_protocols_count():
    """A row of many must pass a stricter test."""
    n = 300
    before, after = np.ones(n, int), np.ones(n, int)
    after[:8] = 0
    assert Stopping([Row(before, 1, 1.0)], 0.05, 1).failing([after[:290]]) == [True]
    assert Stopping([Row(before, 1, 1.0)], 0.05, 20).failing([after[:290]]) == [False]
