"""The attack on decisions, on trees whose nearest adversarial images are known."""

import numpy as np
import pytest
from trees import write_majority

from vivavoce.artifacts import open_model
from vivavoce.audit.attacks.base import Ball, Goal
from vivavoce.audit.attacks.boundary import Boundary
from vivavoce.audit.attacks.streams import Streams
from vivavoce.audit.target import Target

DARK = np.array([[0.3, 0.4, 0.45, 0.9], [0.1, 0.2, 0.2, 0.0]], np.float32).reshape(2, 1, 2, 2)
NEAREST = {"linf": [0.1, 0.3], "l2": [np.hypot(0.1, 0.05), np.hypot(0.3, 0.3)]}
"""Two of the first three pixels must rise above one half."""
LABELS = np.array([0, 0])


@pytest.fixture(scope="module")
def target(tmp_path_factory) -> Target:
    target = Target(open_model(write_majority(tmp_path_factory.mktemp("trees") / "majority.onnx")))
    target.others = np.random.default_rng(0).random((64, 1, 2, 2), dtype=np.float32)
    return target


def attacked(target: Target, norm, size: float, images=DARK, labels=LABELS, goals=None) -> np.ndarray:
    ball = Ball(norm, np.full((1, 1, 1), size, np.float32))
    streams = Streams.of(0, "boundary", np.arange(len(images)))
    (found,) = Boundary().sweep(target, images, Goal(labels, goals), [ball], streams)
    assert ball.size(found, images).max(initial=0) <= size + 1e-6
    return target.answer(found).scores.argmax(1)


@pytest.mark.parametrize("norm", NEAREST)
def test_finds_what_is_just_inside_the_ball_and_nothing_outside(target, norm):
    for k, nearest in enumerate(NEAREST[norm]):
        one = slice(k, k + 1)
        assert attacked(target, norm, nearest * 1.2, DARK[one], LABELS[one]) == 1
        assert attacked(target, norm, nearest * 0.99, DARK[one], LABELS[one]) == 0


def test_a_target_class(target):
    assert attacked(target, "linf", 0.4, goals=np.array([1, 1])).tolist() == [1, 1]


def test_without_other_images_it_starts_from_noise(target):
    alone = Target(target.model)
    assert attacked(alone, "linf", 0.4).tolist() == [1, 1]


def test_nothing_to_attack(target):
    assert attacked(target, "linf", 0.4, DARK[:0], LABELS[:0]).tolist() == []


def test_batches_change_nothing(target):
    balls = [Ball("linf", np.full((1, 1, 1), size, np.float32)) for size in (0.05, 0.2)]
    whole = Boundary(rounds=3).sweep(target, DARK, Goal(LABELS), balls, Streams.of(0, "b", np.arange(2)))
    alone = Boundary(rounds=3).sweep(
        target, DARK[1:], Goal(LABELS[1:]), balls, Streams.of(0, "b", np.array([1]))
    )
    for together, apart in zip(whole, alone, strict=True):
        np.testing.assert_array_equal(together[1:], apart)
