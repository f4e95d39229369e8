"""Attacks in l1 and l0: inside the ball, the same in every batch, and strong where they must be."""

import numpy as np
import pytest

from vivavoce.artifacts import decide
from vivavoce.audit.attacks.apgd import APGD
from vivavoce.audit.attacks.base import Ball, Goal
from vivavoce.audit.attacks.fab import FAB
from vivavoce.audit.attacks.sigma_zero import SigmaZero
from vivavoce.audit.attacks.sparse_rs import SparseRS
from vivavoce.audit.attacks.square import Square
from vivavoce.audit.attacks.streams import Streams
from vivavoce.audit.protocol import resolve
from vivavoce.errors import VivavoceError

ATTACKS = {
    "apgd-l1": (APGD("margin", steps=20, restarts=1), "l1", 12.0),
    "apgd-t-l1": (APGD("targeted-dlr", steps=20, restarts=1), "l1", 12.0),
    "fab-l1": (FAB(steps=10, rivals=2), "l1", 12.0),
    "square-l1": (Square(300), "l1", 20.0),
    "sigma-zero": (SigmaZero(steps=60), "l0", 12),
    "sparse-rs": (SparseRS(200), "l0", 12),
}
table = pytest.mark.parametrize(("attack", "norm", "large"), ATTACKS.values(), ids=ATTACKS)


def sweep(attack, target, images, goal, balls, indices=None):
    streams = Streams.of(0, attack.name, np.arange(len(images)) if indices is None else indices)
    return list(attack.sweep(target, images, goal, balls, streams))


def ball(norm, radius):
    return Ball(norm, np.full((1, 1, 1), radius, np.float32))


@table
@pytest.mark.parametrize("kind", ["dynamic", "int8"])
def test_results_stay_in_the_ball(attack, norm, large, kind, open_tiny, tiny_images):
    target = open_tiny(kind)
    images = np.round(tiny_images, 1)
    goal = Goal(decide(target.answer(images).scores))
    balls = [ball(norm, radius) for radius in ((0, 1, 3) if norm == "l0" else (0, 0.3, 2))]
    results = sweep(attack, target, images, goal, balls)
    np.testing.assert_array_equal(results[0], images)
    for around, out in zip(balls, results, strict=True):
        assert out.dtype == np.float32
        assert 0 <= out.min() <= out.max() <= 1
        assert around.size(out, images).max() <= around.radius.max()
        np.testing.assert_array_equal(around.confine(out, images), out)


@table
@pytest.mark.parametrize("targeted", [False, True])
def test_far_out_they_break_nearly_everything(attack, norm, large, targeted, open_tiny, tiny_images):
    target = open_tiny()
    ranking = np.argsort(-target.answer(tiny_images).scores, axis=1)
    goal = Goal(ranking[:, 0], ranking[:, 1] if targeted else None)
    (out,) = sweep(attack, target, tiny_images, goal, [ball(norm, large)])
    assert goal.reached(target.answer(out).scores).sum() >= 7


@table
def test_batches_change_nothing(attack, norm, large, open_tiny, tiny_images):
    target, around, indices = open_tiny(), ball(norm, large / 6), np.arange(100, 108)
    goal = Goal(decide(target.answer(tiny_images).scores))
    (whole,) = sweep(attack, target, tiny_images, goal, [around], indices)
    parts = np.empty_like(whole)
    for part in (np.array([7, 2, 5]), np.array([0, 1, 3, 4, 6])):
        (parts[part],) = sweep(attack, target, tiny_images[part], goal.part(part), [around], indices[part])
    assert np.sum(np.abs(parts - whole).max((1, 2, 3)) > 1e-4) <= 1


@table
def test_no_images_are_a_batch(attack, norm, large, open_tiny, tiny_images):
    target, none = open_tiny(), tiny_images[:0]
    (out,) = sweep(attack, target, none, Goal(np.zeros(0, np.int64)), [ball(norm, large)])
    assert out.shape == none.shape


def test_every_pixel_may_change(open_tiny, tiny_images):
    target = open_tiny()
    goal = Goal(decide(target.answer(tiny_images).scores))
    (out,) = sweep(SparseRS(50), target, tiny_images, goal, [ball("l0", 100)])
    assert goal.reached(target.answer(out).scores).all()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"name": "standard", "norm": "l3"}, "linf, l2, l1 or l0, not 'l3'"),
        ({"name": "standard", "norm": "l0", "epsilons": [0.5]}, "whole numbers"),
        ({"name": "standard", "norm": "l0", "space": "normalized"}, "l0 counts pixels"),
        ({"name": "standard", "norm": "l0", "attacks": ["apgd-ce"]}, "sigma-zero, sparse-rs"),
        ({"name": "standard", "attacks": ["sigma-zero"]}, "supports l0, not linf"),
        ({"name": "quick", "norm": "l1"}, "pgd supports linf and l2, not l1"),
        ({"name": "paper", "norm": "l2"}, "fgsm supports linf, not l2"),
    ],
)
def test_norms_that_an_attack_does_not_know_are_refused(options, says):
    with pytest.raises(VivavoceError, match=says):
        resolve(**options)


def test_the_standard_protocol_of_each_norm():
    for name in ("standard", "fast"):
        assert resolve(name, norm="l0").attacks == ("sigma-zero", "sparse-rs")
    assert resolve("standard", norm="l1").epsilons == (12.0,)
    assert resolve("standard", norm="l1").attacks == ("apgd-ce", "apgd-t", "fab-t", "square")
