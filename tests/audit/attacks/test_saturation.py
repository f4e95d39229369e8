"""Losses that are flat where the model is not: attacks go on, and nobody is alarmed."""

import numpy as np
import pytest

from vivavoce.artifacts import decide
from vivavoce.audit.attacks.apgd import APGD
from vivavoce.audit.attacks.base import Ball, Goal
from vivavoce.audit.attacks.fgsm import FGSM
from vivavoce.audit.attacks.iterative import Iterative
from vivavoce.audit.attacks.norms import Norm
from vivavoce.audit.attacks.pgd import PGD
from vivavoce.audit.attacks.released import ReleasedIterative
from vivavoce.audit.attacks.streams import Streams

ATTACKS = {
    "fgsm": FGSM(),
    "iterative": Iterative(),
    "pgd": PGD("cross-entropy", steps=10),
    "apgd-ce": APGD(steps=30),
}
SURE = 1e5


def attacked(attack, target, images, radius, norm: Norm = "linf"):
    """The adversarial images, and which of them the model decides otherwise."""
    labels = decide(target.answer(images).scores)
    ball = Ball(norm, np.full((3 if norm == "linf" else 1, 1, 1), radius, np.float32))
    streams = Streams.of(0, attack.name, np.arange(len(images)))
    (out,) = attack.sweep(target, images, Goal(labels), [ball], streams)
    return out, decide(target.answer(out).scores) != labels


@pytest.fixture(scope="module")
def many():
    return np.random.default_rng(5).random((24, 3, 6, 6), dtype=np.float32)


@pytest.mark.parametrize("kind", ["dynamic", "fixed"])
@pytest.mark.parametrize(("norm", "radius"), [("linf", 0.06), ("l2", 0.6)])
@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_a_sure_model_falls_as_its_unsure_twin(attack, norm, radius, kind, open_tiny, many):
    """Of two classes, cross-entropy points along the margin at every scale of the scores."""
    sure, unsure = open_tiny(kind, classes=2, scale=SURE), open_tiny(kind, classes=2, scale=1)
    _, broken = attacked(attack, sure, many, radius, norm)
    _, expected = attacked(attack, unsure, many, radius, norm)
    assert 4 <= expected.sum() <= 20
    assert np.sum(broken != expected) <= 1
    assert sure.dead == unsure.dead == 0
    assert ["log-odds" in note for note in sure.notes] == [True]
    assert not unsure.notes


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_what_stands_in_points_along_cross_entropy_in_exact_arithmetic(classes, open_tiny, many):
    """On the scale where both can be taken, and along the margin where only one can."""
    target = open_tiny(classes=classes)
    labels = decide(target.answer(many).scores)
    _, exact, _ = target.loss_and_gradient(many, labels, "cross-entropy")
    _, odds, _ = target.loss_and_gradient(many, labels, "log-odds")
    assert cosines(exact, odds).min() > 1 - 1e-6
    sure = open_tiny(classes=classes, scale=SURE)
    value, found, _ = sure.loss_and_gradient(many, labels, "cross-entropy")
    _, margin, _ = sure.loss_and_gradient(many, labels, "margin")
    flat = value < 0
    assert flat.sum() > 12
    assert np.median(cosines(found, margin)[flat]) > 1 - 1e-6
    assert np.isfinite(found).all()


def test_the_probability_margin_keeps_its_slope_where_the_model_is_sure(open_tiny, many):
    """Far from the boundary it points along the log-odds, of two classes along the margin everywhere."""
    for classes, like in ((2, "margin"), (5, "log-odds")):
        sure = open_tiny(classes=classes, scale=SURE)
        labels = decide(sure.answer(many).scores)
        value, found, _ = sure.loss_and_gradient(many, labels, "probability-margin", as_it_is=True)
        _, expected, _ = sure.loss_and_gradient(many, labels, like)
        assert np.isfinite(value).all()
        assert cosines(found, expected).min() > 1 - 1e-6
    assert not sure.notes


def cosines(one, other):
    one, other = (g.reshape(len(g), -1).astype(np.float64) for g in (one, other))
    return (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)


def test_losses_stay_in_order_where_one_stands_in_for_the_other(open_tiny, many):
    """Along a line to the boundary cross-entropy never falls, so Auto-PGD never takes worse for better."""
    target = open_tiny(classes=2, scale=1000)
    labels = decide(target.answer(many).scores)
    out, broken = attacked(APGD("margin", steps=20), target, many, 0.3)
    for image, end, label in zip(many[broken], out[broken], labels[broken], strict=True):
        line = np.stack([image + np.float32(t) * (end - image) for t in np.linspace(0, 1, 60)])
        margin, _, _ = target.loss_and_gradient(line, np.full(60, label), "margin")
        value, _, _ = target.loss_and_gradient(line, np.full(60, label), "cross-entropy")
        assert np.all(np.diff(value[np.argsort(margin)]) >= 0)


def test_a_gradient_that_no_loss_has_is_still_dead(open_tiny, many):
    target = open_tiny(classes=3, scale=0)
    target.gradient(many, np.zeros(len(many), np.int64))
    assert target.dead == len(many)
    assert not target.notes


def test_the_released_code_sums_gradients_as_they_are(open_tiny, many):
    target = open_tiny(classes=2, scale=SURE)
    labels = decide(target.answer(many).scores)
    assert not target.gradient(many, labels, as_it_is=True).any()
    assert target.gradient(many, labels).any((1, 2, 3)).all()
    out, _ = attacked(ReleasedIterative(), target, many, 0.1)
    np.testing.assert_array_equal(out, many)
    assert target.dead == 0


def test_a_ratio_is_flat_behind_a_final_relu_and_attacks_go_on(open_tiny, many):
    """Where rival, third and fourth score are all cut off at 0, targeted DLR is -1 wherever one looks."""
    target, loss = open_tiny(classes=6, final_relu=True), "targeted-dlr"
    scores = target.answer(many).scores
    labels, rivals = decide(scores), np.argsort(scores, 1, kind="stable")[:, 0]
    raw, bare, _ = target.loss_and_gradient(many, labels, loss, rivals, as_it_is=True)
    value, found, _ = target.loss_and_gradient(many, labels, loss, rivals)
    flat = ~bare.any((1, 2, 3))
    assert flat.any()
    assert found.any((1, 2, 3)).all()
    assert target.dead == 0
    np.testing.assert_array_equal(value, raw)
    _, expected, _ = target.loss_and_gradient(many, labels, "difference", rivals)
    np.testing.assert_array_equal(found[flat], expected[flat])
    np.testing.assert_array_equal(found[~flat], bare[~flat])
    assert len(target.notes) == 1
