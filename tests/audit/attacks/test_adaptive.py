"""Attacks through the threshold of a label bank, and on its nearest row."""

import numpy as np
import pytest

from vivavoce.artifacts import Outputs, decide, open_model
from vivavoce.audit.attacks.adaptive import FalseAcceptance, Rejection, falsely_accepted, rejected
from vivavoce.audit.attacks.apgd import APGD
from vivavoce.audit.attacks.base import Ball, Goal
from vivavoce.audit.attacks.iterative import Iterative
from vivavoce.audit.attacks.streams import Streams
from vivavoce.audit.target import Target
from vivavoce.errors import VivavoceError


@pytest.fixture(scope="module")
def target() -> Target:
    return Target(open_model("digits-speech"))


def attacked(attack, target, chosen, radius=0.1, targets=None):
    images, labels, indices = chosen
    ball = Ball("linf", np.full((3, 1, 1), radius, np.float32))
    (out,) = attack.sweep(target, images, Goal(labels, targets), [ball], Streams.of(0, attack.name, indices))
    assert ball.size(out, images).max() <= radius * (1 + 1e-5)
    return target.answer(out)


def test_rejected_and_falsely_accepted():
    loss = np.array([[1, 9, 9], [9, 9, 9], [9, 1, 9], [2, 1, 9], [np.nan] * 3], np.float32)
    outputs = Outputs(-loss, None, loss)
    assert rejected(outputs, 3.5).tolist() == [False, True, False, False, True]
    assert falsely_accepted(outputs, np.zeros(5, int), 3.5).tolist() == [False, False, True, True, False]
    with pytest.raises(VivavoceError):
        rejected(Outputs(-loss), 3.5)


def test_rejection_makes_answers_nothing(target, digits):
    chosen = digits(target, 24)
    before = rejected(target.answer(chosen[0]), 3.5)
    after = rejected(attacked(Rejection(steps=20), target, chosen), 3.5)
    assert before.mean() < 0.1
    assert after.mean() > 0.6


def test_false_acceptance_makes_answers_wrong_and_sure(target, digits):
    chosen = digits(target, 24)
    found = falsely_accepted(
        attacked(FalseAcceptance(steps=20, rivals=3), target, chosen, 0.15), chosen[1], 3.5
    )
    assert found.mean() > 0.3
    targets = (chosen[1] + 1) % 10
    outputs = attacked(FalseAcceptance(steps=20), target, chosen, 0.3, targets)
    reached = falsely_accepted(outputs, chosen[1], 3.5) & (decide(outputs.scores) == targets)
    assert reached.mean() > 0.3


def test_the_margin_between_rows_breaks_more_than_the_paper_s_loss(target, digits):
    chosen = digits(target, 30)
    paper = decide(attacked(Iterative(), target, chosen, 0.05).scores) == chosen[1]
    margin = decide(attacked(APGD("margin", steps=20), target, chosen, 0.05).scores) == chosen[1]
    rivals = (
        decide(attacked(APGD("difference", steps=20, rivals=3), target, chosen, 0.05).scores) == chosen[1]
    )
    assert margin.sum() < paper.sum()
    assert rivals.sum() < paper.sum()


def test_models_without_a_threshold_are_refused(digits):
    other = Target(open_model("digits-category"))
    for attack in (Rejection(), FalseAcceptance()):
        with pytest.raises(VivavoceError, match="threshold"):
            attacked(attack, other, digits(other, 2))
