"""What every attack must hold, on models of every kind."""

import functools
import itertools
from collections.abc import Callable

import numpy as np
import pytest

from vivavoce.artifacts import decide, open_model
from vivavoce.audit.attacks.apgd import APGD
from vivavoce.audit.attacks.base import Ball, Goal
from vivavoce.audit.attacks.catalogue import ATTACKS as EVERY
from vivavoce.audit.attacks.fab import FAB
from vivavoce.audit.attacks.fgsm import FGSM
from vivavoce.audit.attacks.iterative import Iterative
from vivavoce.audit.attacks.noise import Noise
from vivavoce.audit.attacks.pgd import PGD
from vivavoce.audit.attacks.square import Square
from vivavoce.audit.attacks.streams import Streams
from vivavoce.audit.target import Target
from vivavoce.gradient import UnsupportedOperator

ATTACKS = {
    "fgsm": FGSM(),
    "iterative": Iterative(3),
    "pgd": PGD(steps=4),
    "pgd-restarts": PGD("margin", steps=3, restarts=2),
    "apgd-ce": APGD(steps=8),
    "apgd-dlr": APGD("dlr", steps=6, restarts=2),
    "apgd-margin": APGD("margin", steps=6),
    "apgd-t": APGD("targeted-dlr", steps=5, rivals=2),
    "apgd-pm": APGD("probability-margin", steps=6),
    "apgd-malt": APGD("targeted-dlr", steps=5, rivals=2, nearest=True),
    "apgd-difference": APGD("difference", steps=5, rivals=None),
    "fab-t": FAB(steps=5, restarts=2, rivals=2),
    "minimum": FAB(steps=5, rivals=1, minimum=True),
    "square": Square(40),
    "noise": Noise(4),
}
WITHOUT_GRADIENT = ["square", "noise"]
STRONG = [name for name in ATTACKS if name not in ("fgsm", "noise")]
RADII = {"linf": (0.004, 0.05), "l2": (0.02, 0.4)}

table = pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
norms = pytest.mark.parametrize("norm", ["linf", "l2"])


def ball(norm, radius, channels=3) -> Ball:
    return Ball(norm, np.full((channels if norm == "linf" else 1, 1, 1), radius, np.float32))


def sweep(attack, target, images, goal, balls, indices=None, seed=0):
    indices = np.arange(len(images)) if indices is None else indices
    streams = Streams.of(seed, attack.name, indices)
    return list(attack.sweep(target, images, goal, balls, streams))


def decisions(target, images):
    return decide(target.answer(images).scores)


def goal_of(target, images, targeted=False) -> Goal:
    """Away from the decision, or to the runner-up."""
    ranking = np.argsort(-target.answer(images).scores, axis=1)
    return Goal(ranking[:, 0], ranking[:, 1] if targeted else None)


@pytest.fixture(scope="module")
def tiny(open_tiny) -> Callable[..., Target]:
    """As `open_tiny`, but each kind is opened once: attacks share its sessions, as in an audit."""
    return functools.cache(open_tiny)


@table
@norms
@pytest.mark.parametrize("kind", ["dynamic", "fixed", "int8"])
def test_results_stay_in_ball_and_range(attack, norm, kind, tiny, tiny_images):
    target = tiny(kind)
    balls = [ball(norm, radius) for radius in RADII[norm]]
    images = np.round(tiny_images) if norm == "linf" else tiny_images  # corners of the range too
    for b, out in zip(balls, sweep(attack, target, images, goal_of(target, images), balls), strict=True):
        assert out.shape == images.shape
        assert out.dtype == np.float32
        assert np.isfinite(out).all()
        assert out.min() >= 0
        assert out.max() <= 1
        assert b.size(out, images).max() <= b.radius.max() * (1 + 1e-5) + 1e-7


@table
@norms
def test_nothing_moves_at_epsilon_zero(attack, norm, tiny, tiny_images):
    target = tiny()
    (out,) = sweep(attack, target, tiny_images, goal_of(target, tiny_images), [ball(norm, 0.0)])
    np.testing.assert_array_equal(out, tiny_images)


@table
@norms
def test_batch_order_and_repetition_change_nothing(attack, norm, tiny, tiny_images):
    target, b = tiny(), ball(norm, RADII[norm][1] / 3)
    goal, indices = goal_of(target, tiny_images), np.arange(100, 108)
    (whole,) = sweep(attack, target, tiny_images, goal, [b], indices)
    (again,) = sweep(attack, target, tiny_images, goal, [b], indices)
    np.testing.assert_array_equal(whole, again)
    parts = np.empty_like(whole)
    for part in (np.array([7, 2, 5]), np.array([0, 1, 3, 4, 6])):
        (parts[part],) = sweep(attack, target, tiny_images[part], goal.part(part), [b], indices[part])
    assert np.sum(decisions(target, parts) != decisions(target, whole)) <= 1
    assert np.sum(np.abs(parts - whole).max((1, 2, 3)) > 1e-4) <= 1


@pytest.mark.parametrize("name", STRONG)
@norms
@pytest.mark.parametrize("targeted", [False, True])
def test_strong_attacks_break_everything_far_out(name, norm, targeted, tiny, tiny_images):
    target = tiny()
    goal = goal_of(target, tiny_images, targeted)
    (out,) = sweep(ATTACKS[name], target, tiny_images, goal, [ball(norm, {"linf": 0.5, "l2": 4.0}[norm])])
    reached = goal.reached(target.answer(out).scores)
    assert reached.sum() >= (6 if targeted else 8)


@table
def test_images_that_are_wrong_already_do_no_harm(attack, tiny, tiny_images):
    target = tiny()
    labels = (decisions(target, tiny_images) + np.arange(8) % 2) % target.classes
    b = ball("linf", 0.01)
    (out,) = sweep(attack, target, tiny_images, Goal(labels), [b])
    assert b.size(out, tiny_images).max() <= 0.01 * (1 + 1e-5)


@table
def test_where_no_gradient_is_some_attacks_go_on_and_the_others_say_so(attack, open_tiny, tiny_images):
    target = open_tiny(step="Floor")
    goal = goal_of(target, tiny_images)
    if attack.name in WITHOUT_GRADIENT:
        (out,) = sweep(attack, target, tiny_images, goal, [ball("linf", 0.1)])
        assert out.shape == tiny_images.shape
    else:
        with pytest.raises(UnsupportedOperator, match="Floor"):
            sweep(attack, target, tiny_images, goal, [ball("linf", 0.1)])


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("loss", ["dlr", "targeted-dlr"])
def test_too_few_classes_for_the_ratio_fall_back_and_say_so(loss, classes, open_tiny, tiny_images):
    target = open_tiny(classes=classes)
    goal = goal_of(target, tiny_images)
    (out,) = sweep(APGD(loss, steps=8), target, tiny_images, goal, [ball("linf", 0.5)])
    sweep(APGD(loss, steps=1), target, tiny_images, goal, [ball("linf", 0.5)])
    assert goal.reached(target.answer(out).scores).all()
    needed = {"dlr": 3, "targeted-dlr": 4}[loss]
    assert len(target.notes) == (classes < needed)
    assert all(f"{loss} needs {needed} classes" in note for note in target.notes)


@pytest.fixture(scope="module")
def twins(digits_pt) -> tuple[Target, Target]:
    return Target(open_model("digits-category")), Target(open_model(digits_pt))


@pytest.mark.parametrize("name", ["apgd-ce", "apgd-t", "fab-t", "square", "pgd"])
@norms
def test_torchscript_and_onnx_agree(name, norm, digits, twins):
    images, labels, indices = digits(twins[0], 16)
    b = ball(norm, {"linf": 0.045, "l2": 1.3}[norm])
    survivors = []
    for target in twins:
        (out,) = sweep(ATTACKS[name], target, images, Goal(labels), [b], indices)
        survivors.append(decisions(target, out) == labels)
    assert np.sum(survivors[0] != survivors[1]) <= 1


def test_channels_keep_their_own_half_widths(open_tiny, tiny_images):
    target = open_tiny()
    radius = np.array([0.01, 0.0, 0.1], np.float32).reshape(3, 1, 1)
    for attack in ATTACKS.values():
        (out,) = sweep(attack, target, tiny_images, goal_of(target, tiny_images), [Ball("linf", radius)])
        assert np.all(np.abs(out - tiny_images) <= radius * (1 + 1e-5) + 1e-7), attack.name


def test_one_image_and_none_are_batches_too(open_tiny, tiny_images):
    target = open_tiny()
    for attack in ATTACKS.values():
        for count in (1, 0):
            images = tiny_images[:count]
            goal = Goal(decisions(target, tiny_images)[:count])
            (out,) = sweep(attack, target, images, goal, [ball("linf", 0.1)])
            assert out.shape == images.shape


@pytest.fixture(scope="module")
def opened():
    return {name: open_model(name) for name in ("digits-speech", "digits-category")}


@pytest.mark.parametrize(
    ("name", "model"),
    [(name, "digits-speech") for name in EVERY]
    + [(name, "digits-category") for name in EVERY if name not in ("rejection", "false-acceptance")],
)
def test_no_images_are_a_batch_for_every_attack(name, model, opened):
    target, attack = Target(opened[model]), EVERY[name]
    none, no_labels = np.zeros((0, 3, 32, 32), np.float32), np.zeros(0, np.int64)
    for goal, norm in itertools.product((Goal(no_labels), Goal(no_labels, no_labels)), attack.norms):
        found = sweep(attack, target, none, goal, [ball(norm, radius) for radius in (0.0, 0.01, 0.1)])
        assert [out.shape for out in found] == [none.shape] * 3
        assert {out.dtype for out in found} == {np.dtype(np.float32)}
    assert target.queries == target.gradients == target.dead == 0
