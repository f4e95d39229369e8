"""Auto-PGD's own machinery."""

import numpy as np
import pytest

from vivavoce.artifacts import decide
from vivavoce.audit.attacks.apgd import ascend, checkpoints
from vivavoce.audit.attacks.base import Ball, Goal
from vivavoce.audit.attacks.objectives import opponents


def test_checkpoints_are_the_published_ones():
    assert checkpoints(100) == [22, 41, 57, 70, 80, 87, 93, 99]
    assert checkpoints(1000) == [220, 410, 570, 700, 800, 870, 930, 990]
    assert checkpoints(10) == [3, 5, 6, 7, 8, 9, 10, 10]


class Hill:
    """Minus the squared distance to a summit: the value at the end tells how well steps were sized."""

    def __init__(self, summits, reached_at=0.0):
        self.summits, self.reached_at = summits, reached_at
        self.values: list[np.ndarray] = []

    def __call__(self, points, places):
        away = points - self.summits[places]
        value = -(away**2).sum((1, 2, 3))
        self.values.append(value)
        return value, -2 * away, value > -self.reached_at


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_step_shrinks_until_the_summit_is_met(norm):
    rng = np.random.default_rng(0)
    images = np.full((5, 3, 4, 4), 0.5, np.float32)
    summits = images + rng.uniform(-0.05, 0.05, images.shape).astype(np.float32)
    ball = Ball(norm, np.full((3, 1, 1) if norm == "linf" else (1, 1, 1), 0.3, np.float32))
    hill = Hill(summits)
    best, reached = ascend(hill, images, np.arange(5), ball, images.copy(), 100)
    assert not reached.any()
    assert np.abs(best - summits).max() < 0.01
    np.testing.assert_allclose(
        -((best - summits) ** 2).sum((1, 2, 3)), np.max(hill.values, axis=0), rtol=1e-5
    )


def test_an_image_that_is_there_is_left_alone():
    images = np.full((4, 1, 2, 2), 0.5, np.float32)
    summits = images + np.array([0, 0.01, 0.02, 0.29], np.float32).reshape(4, 1, 1, 1)
    hill = Hill(summits, reached_at=1e-5)
    places = np.array([3, 0, 2])
    ball = Ball("linf", np.full((1, 1, 1), 0.3, np.float32))
    best, reached = ascend(hill, images, places, ball, images[places], 100)
    assert reached[1]
    assert np.array_equal(best[1], images[0])
    assert [len(v) for v in hill.values][:2] == [3, 2]
    assert np.all(-((best - summits[places]) ** 2).sum((1, 2, 3))[reached] > -1e-5)


@pytest.mark.parametrize(("norm", "dual"), [("linf", 1), ("l2", 2), ("l1", np.inf)])
def test_malt_takes_the_classes_in_the_order_of_their_distance(norm, dual, open_tiny, tiny_images):
    """The gap of the scores over the dual norm of its gradient, which is exact for linear models."""
    target = open_tiny(classes=7)
    labels = decide(target.answer(tiny_images).scores)
    ball = Ball(
        norm,
        np.array([1, 2, 4], np.float32).reshape(3, 1, 1)
        if norm == "linf"
        else np.ones((1, 1, 1), np.float32),
    )
    distance = np.full((len(labels), 7), np.inf)
    for rival in range(7):
        value, slope, _ = target.loss_and_gradient(
            tiny_images, labels, "difference", np.full(len(labels), rival)
        )
        sizes = np.linalg.norm((slope * ball.radius).reshape(len(slope), -1).astype(np.float64), dual, axis=1)
        distance[:, rival] = np.where(labels == rival, np.inf, -value / np.maximum(sizes, 1e-30))
    order, by_score = (
        np.stack(
            [o for o in opponents(target, tiny_images, Goal(labels), "difference", 4, b) if o is not None],
            axis=1,
        )
        for b in (ball, None)
    )
    np.testing.assert_array_equal(order, np.argsort(distance, axis=1, kind="stable")[:, :4])
    assert (order != by_score).any()
