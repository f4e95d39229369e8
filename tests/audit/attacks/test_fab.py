"""FAB where the answer is known, and as the attack that finds the smallest perturbation."""

import numpy as np
import pytest

from vivavoce.artifacts import Outputs, open_model
from vivavoce.audit.attacks.apgd import APGD
from vivavoce.audit.attacks.base import Ball, Goal
from vivavoce.audit.attacks.fab import FAB
from vivavoce.audit.attacks.streams import Streams
from vivavoce.audit.target import Target


class Linear(Target):
    """Scores W x: the distance to each boundary is the margin over the dual norm of its normal."""

    def __init__(self) -> None:
        self.model = open_model("digits-category")
        self.weights = np.random.default_rng(0).normal(size=(10, 3, 4, 4)).astype(np.float32)
        self.queries = 0

    def answer(self, images):
        return Outputs(np.einsum("nchw,kchw->nk", images, self.weights))

    def loss_and_gradient(self, images, classes, loss, rivals=None, *, as_it_is=False):
        scores, rows = self.answer(images).scores, np.arange(len(images))
        gradient = self.weights[rivals] - self.weights[classes]
        return scores[rows, rivals] - scores[rows, classes], gradient, scores


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("widths", [(1, 1, 1), (1, 0.5, 0.25)])
def test_the_distance_to_linear_boundaries_is_exact(norm, widths):
    target = Linear()
    images = np.random.default_rng(1).uniform(0.45, 0.55, (12, 3, 4, 4)).astype(np.float32)
    scores = target.answer(images).scores
    labels, rows = scores.argmax(1), np.arange(12)
    scale = np.array(widths if norm == "linf" else (1, 1, 1), np.float32).reshape(3, 1, 1)
    normals = (target.weights[labels][:, None] - target.weights).astype(np.float64) * scale
    gaps = scores[rows, labels][:, None] - scores
    order = 1 if norm == "linf" else 2
    lengths = np.linalg.norm(normals.reshape(12, 10, -1), order, axis=2)
    lengths[rows, labels] = np.inf
    gaps[rows, labels] = np.inf
    expected = (gaps / np.where(np.isinf(lengths), 1, lengths)).min(1)
    ball = Ball(norm, 0.3 * scale if norm == "linf" else np.full((1, 1, 1), 3, np.float32))
    fab = FAB(steps=10, minimum=True)
    (points,) = fab.sweep(target, images, Goal(labels), [ball], Streams.of(0, "fab", rows))
    assert np.all(target.answer(points).scores.argmax(1) != labels)
    moved = np.abs(points - images) / scale
    size = moved.max((1, 2, 3)) if norm == "linf" else ball.size(points, images)
    np.testing.assert_allclose(size, expected, rtol=0.01)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_what_apgd_breaks_in_a_ball_fab_finds_nearer_than_its_border(norm, digits):
    target = Target(open_model("digits-category"))
    images, labels, indices = digits(target, 16)
    ball = Ball(
        norm, np.full((3, 1, 1) if norm == "linf" else (1, 1, 1), {"linf": 0.05, "l2": 1.6}[norm], np.float32)
    )
    streams = Streams.of(0, "fab", indices)
    (out,) = APGD(steps=40).sweep(target, images, Goal(labels), [ball], streams)
    broken = target.answer(out).scores.argmax(1) != labels
    assert 2 < broken.sum() < 16
    fab = FAB(steps=40, rivals=3, minimum=True)
    whole = Ball(norm, np.full_like(ball.radius, {"linf": 1, "l2": 56}[norm]))
    (points,) = fab.sweep(target, images, Goal(labels), [whole], streams)
    size = ball.size(points, images)
    assert np.all(target.answer(points).scores.argmax(1) != labels)
    assert np.mean((size <= ball.radius.max()) == broken) >= 15 / 16
    back = images + np.float32(0.98) * (points - images)
    assert np.mean(target.answer(back).scores.argmax(1) == labels) >= 0.75


def test_balls_of_one_shape_share_a_search(digits):
    target = Target(open_model("digits-category"))
    images, labels, indices = digits(target, 4)
    balls = [Ball("linf", np.full((3, 1, 1), r, np.float32)) for r in (0.0, 0.02, 0.2)]
    still, small, large = FAB(steps=10, rivals=1).sweep(
        target, images, Goal(labels), balls, Streams.of(0, "fab", indices)
    )
    assert target.gradients <= 40
    np.testing.assert_array_equal(still, images)
    assert np.abs(small - images).max() <= 0.02 * (1 + 1e-5)
    assert np.all(target.answer(large).scores.argmax(1) != labels)


def test_where_nothing_is_found_the_image_stays():
    class Sure(Linear):
        """Class 3, whatever the image; the gradients promise otherwise."""

        def answer(self, images):
            return Outputs(np.tile(np.eye(10, dtype=np.float32)[3], (len(images), 1)))

    images = np.full((2, 3, 4, 4), 0.5, np.float32)
    ball = Ball("linf", np.full((3, 1, 1), 0.1, np.float32))
    streams = Streams.of(0, "fab", np.arange(2))
    (points,) = FAB(steps=3, minimum=True).sweep(Sure(), images, Goal(np.array([3, 3])), [ball], streams)
    np.testing.assert_array_equal(points, images)
