"""The parts of Square attack that its paper fixes."""

import numpy as np
import pytest

from vivavoce.audit.attacks.base import Ball, Goal
from vivavoce.audit.attacks.norms import euclid
from vivavoce.audit.attacks.square import bump, goal_margin, share_of_pixels, stripes, tiles, transfer, window
from vivavoce.audit.attacks.streams import Streams

STREAMS = Streams.of(0, "square", np.arange(50))
IMAGES = np.full((50, 3, 12, 17), 0.5, np.float32)


def test_the_schedule_halves_at_the_published_iterations():
    shares = [share_of_pixels(0.8, k) for k in range(1, 10_001)]
    changes = [k for k in range(1, 10_000) if shares[k] != shares[k - 1]]
    assert changes == [10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000]
    assert shares[0] == 0.8
    assert shares[-1] == pytest.approx(0.8 / 512)


def test_stripes_are_vertical_and_as_wide_as_the_box():
    radius = np.array([0.1, 0.2, 0.3], np.float32).reshape(3, 1, 1)
    pattern = np.broadcast_to(stripes(IMAGES, Ball("linf", radius), STREAMS), IMAGES.shape)
    np.testing.assert_allclose(np.abs(pattern), np.broadcast_to(radius, IMAGES.shape))
    assert np.ptp(pattern, axis=2).max() == 0
    assert abs(np.sign(pattern[:, :, 0]).mean()) < 0.1


@pytest.mark.parametrize("side", [1, 4, 12])
def test_a_square_changes_by_twice_the_half_width_anywhere_in_the_image(side):
    radius = np.array([0.1, 0.2, 0.3], np.float32).reshape(3, 1, 1)
    moved = window(IMAGES, IMAGES, Ball("linf", radius), STREAMS, 1, side) - IMAGES
    changed = moved != 0
    assert np.all(changed.sum((2, 3)) == side**2)
    np.testing.assert_allclose(np.abs(moved), changed * 2 * radius, atol=1e-6)
    assert np.all(changed.any(2).sum(2) == side)
    places = {tuple(np.argwhere(c[0])[0]) for c in changed}
    assert len(places) > (4 if side == 12 else 20)


@pytest.mark.parametrize("side", [1, 2, 3, 5, 6, 9])
def test_bumps_have_two_hills_of_opposite_sign_and_length_one(side):
    shape = bump(side)
    assert shape.shape == (side, side)
    assert (shape**2).sum() == pytest.approx(1)
    if side > 1:
        assert np.all(shape[: side // 2] > 0)
        assert np.all(shape[side // 2 :] < 0)


def test_the_bump_of_side_five_by_the_formula():
    """n = 2; M by rows and columns counted from 1, centre (h1 // 2 + 1, h2 // 2 + 1)."""

    def hill(height, width):
        n = max(height, width) // 2

        def entry(r, s):
            steps = n - max(abs(r - height // 2 - 1), abs(s - width // 2 - 1))
            return sum(1 / (n + 1 - k) ** 2 for k in range(steps + 1))

        return [[entry(r, s) for s in range(1, width + 1)] for r in range(1, height + 1)]

    expected = np.array([*hill(2, 5), *(-np.array(hill(3, 5)))])
    np.testing.assert_allclose(bump(5), expected / np.sqrt((expected**2).sum()))


def test_in_l2_the_whole_radius_is_always_used():
    ball = Ball("l2", np.full((1, 1, 1), 0.7, np.float32))
    pattern = tiles(IMAGES, ball, STREAMS)
    np.testing.assert_allclose(euclid(pattern), 0.7, rtol=1e-5)
    assert len(np.unique(pattern.reshape(50, -1), axis=0)) == 50
    best = IMAGES + pattern
    for k, side in [(1, 9), (2, 3)]:
        candidates = transfer(IMAGES, best, ball, STREAMS, k, side)
        np.testing.assert_allclose(euclid(candidates - IMAGES), 0.7, rtol=1e-4)
        changed = np.abs(candidates - best).max(1) > 0.02
        assert np.all(changed.any((1, 2)))


def test_margins():
    scores = np.array([[1.0, 3.0, 2.0], [1.0, 3.0, 2.0]], np.float32)
    labels = np.array([1, 0])
    assert goal_margin(Goal(labels), scores).tolist() == [1, -2]
    assert goal_margin(Goal(labels, np.array([2, 1])), scores).tolist() == [1, -1]
