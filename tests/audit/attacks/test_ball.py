"""Balls and goals."""

import math

import numpy as np
import pytest

from vivavoce.audit.attacks.base import Ball, Goal
from vivavoce.audit.attacks.directions import steepest
from vivavoce.audit.grid import Grid

RNG = np.random.default_rng(0)
IMAGES = RNG.random((40, 3, 5, 4), dtype=np.float32)
BALLS = [
    Ball("linf", np.array([0.0, 0.1, 0.3], np.float32).reshape(3, 1, 1)),
    Ball("linf", np.full((3, 1, 1), 2, np.float32)),
    *(Ball("l2", np.full((1, 1, 1), r, np.float32)) for r in (0.0, 0.01, 0.7, 50.0)),
    *(Ball("l1", np.full((1, 1, 1), r, np.float32)) for r in (0.0, 0.05, 4.0, 90.0)),
    *(Ball("l0", np.full((1, 1, 1), r, np.float32)) for r in (0, 1, 7, 20)),
]


def test_a_box_clips_and_the_not_finite_becomes_clean():
    clean = np.array([0.0, 0.5, 1.0, 0.5], np.float32).reshape(1, 1, 2, 2)
    wild = np.array([-1.0, 2.0, 0.95, math.nan], np.float32).reshape(1, 1, 2, 2)
    kept = Ball("linf", np.full((1, 1, 1), 0.1, np.float32)).confine(wild, clean)
    assert kept.ravel().tolist() == pytest.approx([0.0, 0.6, 0.95, 0.5])


@pytest.mark.parametrize("ball", BALLS, ids=lambda b: f"{b.norm}-{b.radius.max():g}")
@pytest.mark.parametrize("reach", [1e-3, 0.3, 30.0])
def test_confined_images_are_inside_and_stay_where_they_are(ball, reach):
    wild = IMAGES + reach * RNG.normal(size=IMAGES.shape).astype(np.float32)
    wild[0, 0, 0, :2] = np.inf, np.nan
    kept = ball.confine(wild, IMAGES)
    assert kept.dtype == np.float32
    assert kept.min() >= 0
    assert kept.max() <= 1
    assert np.all(ball.size(kept, IMAGES) <= ball.radius.max() * (1 + 1e-6))
    if ball.norm == "linf":
        assert np.all(np.abs(kept - IMAGES) <= ball.radius * (1 + 1e-5))
    np.testing.assert_array_equal(ball.confine(kept, IMAGES), kept)


def test_confining_to_a_sphere_keeps_the_direction_and_uses_the_whole_radius():
    images = np.full((1, 1, 1, 2), 0.5, np.float32)
    wild = images + np.array([0.3, 0.4], np.float32)
    kept = Ball("l2", np.full((1, 1, 1), 0.25, np.float32)).confine(wild, images)
    np.testing.assert_allclose(kept.ravel(), [0.65, 0.7], atol=1e-5)


def test_the_l1_ball_cut_with_the_range_gives_its_nearest_point():
    ball = Ball("l1", np.full((1, 1, 1), 3, np.float32))
    wild = IMAGES + RNG.normal(size=IMAGES.shape).astype(np.float32)
    kept = ball.confine(wild, IMAGES)
    np.testing.assert_allclose(ball.size(kept, IMAGES), 3, atol=1e-4)
    distance = np.square(wild - kept.astype(np.float64)).sum((1, 2, 3))
    for _ in range(200):  # no other point of the ball is nearer, least of all one on the way to another image
        ahead = ball.confine(kept + 0.01 * RNG.normal(size=kept.shape), IMAGES)
        assert np.all(np.square(wild - ahead.astype(np.float64)).sum((1, 2, 3)) >= distance - 1e-3)


def test_the_l0_ball_keeps_the_pixels_that_changed_most():
    images = np.zeros((1, 2, 1, 3), np.float32)
    wild = np.array([0.3, 0.0, 0.5, 0.3, 0.4, 0.0], np.float32).reshape(images.shape)
    kept = Ball("l0", np.full((1, 1, 1), 2, np.float32)).confine(wild, images)
    assert kept.ravel().tolist() == pytest.approx([0.3, 0, 0.5, 0.3, 0, 0])


@pytest.mark.parametrize("ball", BALLS, ids=lambda b: f"{b.norm}-{b.radius.max():g}")
def test_images_on_a_grid_stay_inside(ball):
    grid = Grid(np.full((3, 1, 1), 0.5), np.full((3, 1, 1), 1 / 64))
    wild = IMAGES + 0.3 * RNG.normal(size=IMAGES.shape).astype(np.float32)
    kept = ball.settle(wild, IMAGES, grid)
    assert np.all(ball.size(kept, IMAGES) <= ball.radius.max() * (1 + 1e-6))


@pytest.mark.parametrize(("norm", "size"), [("linf", 0.4), ("l2", 0.5), ("l1", 0.7), ("l0", 2)])
def test_size(norm, size):
    images = np.zeros((1, 1, 1, 2), np.float32)
    moved = np.array([0.3, -0.4], np.float32).reshape(1, 1, 1, 2)
    assert Ball(norm, np.ones((1, 1, 1), np.float32)).size(moved, images) == pytest.approx([size])


def test_steepest_steps():
    gradient = np.array([3.0, -4.0, 0.0, 0.0], np.float32).reshape(2, 1, 1, 2)
    assert steepest(gradient, "linf").ravel().tolist() == [1, -1, 0, 0]
    assert steepest(gradient, "l2").ravel().tolist() == pytest.approx([0.6, -0.8, 0, 0])


def test_goals():
    scores = np.array([[1, 2, 3], [1, 2, np.nan]], np.float32)
    labels = np.array([0, 1])
    away, there = Goal(labels), Goal(labels, np.array([2, 0]))
    assert away.reached(scores).tolist() == [True, True]
    assert there.reached(scores).tolist() == [True, False]
    assert (away.direction, there.direction) == (1, -1)
    assert there.part(np.array([False, True])).classes.tolist() == [0]
    assert away.part(np.array([1])).classes.tolist() == [1]
