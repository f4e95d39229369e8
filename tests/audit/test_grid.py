"""Adversarial images for files that take whole numbers."""

from types import SimpleNamespace

import numpy as np
import pytest

from vivavoce.audit.attacks.base import Ball
from vivavoce.audit.grid import Grid

GRID = Grid(np.zeros((3, 1, 1)), np.full((3, 1, 1), 1 / 255))


def images(seed):
    draw = np.random.default_rng(seed)
    clean = draw.integers(0, 256, (8, 3, 5, 5)).astype(np.float32) / np.float32(255)
    return clean, clean + draw.normal(0, 0.05, clean.shape).astype(np.float32)


@pytest.mark.parametrize("epsilon", [8 / 255, 0.03, 1 / 255, 0.001, 0.5])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_settled_images_are_pixels_in_the_ball(norm, epsilon):
    clean, moved = images(0)
    radius = epsilon if norm == "linf" else 10 * epsilon
    ball = Ball(norm, np.full((1, 1, 1), radius, np.float32))
    settled = ball.settle(moved, clean, GRID)
    places = settled.astype(np.float64) * 255
    assert np.abs(places - np.rint(places)).max() < 1e-3
    assert settled.min() >= 0
    assert settled.max() <= 1
    assert ball.size(settled, clean).max() <= radius + 1e-6
    if norm == "linf" and epsilon == 8 / 255:  # the ball ends on the grid: as far as a pixel can go
        assert ball.size(settled, clean).min() == pytest.approx(epsilon, abs=1e-6)
        kept = ball.confine(moved, clean)
        np.testing.assert_array_equal(np.rint(places), np.rint(kept.astype(np.float64) * 255))


def test_without_a_grid_nothing_is_rounded():
    clean, moved = images(1)
    ball = Ball("linf", np.full((1, 1, 1), 0.03, np.float32))
    np.testing.assert_array_equal(ball.settle(moved, clean, None), ball.confine(moved, clean))


def test_signed_pixels_have_the_same_grid():
    entry = SimpleNamespace(mean=(128 / 255,) * 3, std=(1 / 255,) * 3)
    model = SimpleNamespace(understood=SimpleNamespace(entry=SimpleNamespace(whole=True)),
                            manifest=SimpleNamespace(input=entry))  # fmt: skip
    grid = Grid.of(model)  # type: ignore[arg-type]
    assert grid
    clean, moved = images(2)
    ball = Ball("linf", np.full((1, 1, 1), 8 / 255, np.float32))
    np.testing.assert_allclose(ball.settle(moved, clean, grid), ball.settle(moved, clean, GRID), atol=1e-6)
