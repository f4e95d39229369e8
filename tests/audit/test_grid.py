"""Adversarial images for files that take whole numbers."""

from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from vivavoce.artifacts import open_model
from vivavoce.audit import Settings, resolve, robustness
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


@pytest.mark.parametrize(("epsilon", "steps"), [(0.03, 7), (8 / 255, 8), (8.99 / 255, 8), (0.5 / 255, 0.5)])
def test_attacks_look_no_further_than_the_last_step_in_the_box(epsilon, steps):
    clean, _ = images(0)
    ball = Ball("linf", np.full((3, 1, 1), epsilon, np.float32))
    searched = ball.searched(clean, GRID)
    assert searched.widths == pytest.approx([steps / 255] * 3)
    assert ball.searched(clean, None) is ball
    assert ball.searched(clean + np.float32(0.4 / 255), GRID) is ball, "these are between the steps"


@pytest.mark.parametrize("attack", ["pgd", "apgd-ce", "fgsm"])
def test_attacks_on_whole_numbers_find_what_is_there_between_two_steps(attack, tmp_path):
    """The corners of the box of 20 steps decide, at 20 as at 20.4 steps."""
    flat, labels, weights = linear_model(tmp_path)
    slope = np.sign(weights[:, 1] - weights[:, 0]) * np.where(labels == 0, 1, -1)[:, None]
    corners = np.clip(flat + 20 * slope, 0, 255).astype(np.int64)
    left = ((corners @ weights).argmax(1) == labels).mean()
    assert 0.1 < left < 0.9
    row = audited(tmp_path, attack, 0.08)
    assert row.accuracy == pytest.approx(left)
    assert row.max_perturbation == pytest.approx(20 / 255, abs=1e-6)


@pytest.mark.parametrize("radius", [0.02, 0.05, 0.1, 0.2])
@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_images_on_the_sphere_lose_little_to_rounding(norm, radius):
    draw = np.random.default_rng(3)
    clean = draw.integers(60, 190, (50, 3, 8, 8)).astype(np.float32) / np.float32(255)
    sphere = Ball(norm, np.full((1, 1, 1), radius * (14 if norm == "l2" else 192), np.float32))
    moved = sphere.confine(clean + draw.normal(0, 1, clean.shape).astype(np.float32), clean)
    settled = sphere.settle(moved, clean, GRID)
    reached = sphere.in_radii(settled, clean)
    assert reached.max() <= 1 + 1e-6
    assert reached.min() >= 0.97


def test_attacks_in_l2_on_whole_numbers_come_close_to_the_edge_of_the_ball(tmp_path):
    """The distance to the boundary is known, and whole numbers within the box make it hardly longer."""
    flat, _, weights = linear_model(tmp_path, 60, 196)
    across = weights[:, 0] - weights[:, 1]
    distance = np.abs(flat @ across) / np.linalg.norm(across) / 255
    radius = float(np.median(distance))
    row = audited(tmp_path, "pgd", radius, norm="l2")
    assert (distance > radius).mean() <= row.accuracy <= (distance > 0.97 * radius).mean()


def linear_model(folder, lowest=0, highest=256):
    """Write a linear model m.onnx and images d.npz of two classes; the images as rows, classes, weights."""
    draw = np.random.default_rng(0)
    weights = draw.normal(size=(48, 2)).astype("f4")
    nodes = [
        helper.make_node("Cast", ["x"], ["c"], to=1),
        helper.make_node("Flatten", ["c"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["y"]),
    ]
    shapes = [("x", TensorProto.UINT8, ["N", 3, 4, 4]), ("y", TensorProto.FLOAT, ["N", 2])]
    entry, scores = (helper.make_tensor_value_info(*shape) for shape in shapes)
    graph = helper.make_graph(nodes, "g", [entry], [scores], [numpy_helper.from_array(weights, "w")])
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, ir_version=9, opset_imports=opset), folder / "m.onnx")
    pixels = draw.integers(lowest, highest, (40, 4, 4, 3)).astype(np.uint8)
    flat = pixels.transpose(0, 3, 1, 2).reshape(40, -1).astype(np.int64)
    labels = (flat @ weights).argmax(1)
    np.savez(folder / "d.npz", images=pixels, labels=labels)
    return flat, labels, weights


def audited(folder, attack, epsilon, **more):
    """The row of one attack on the linear model."""
    protocol = resolve("quick", [attack], [epsilon], **more)
    settings = Settings(protocol=protocol, data=str(folder / "d.npz"), limit=0)
    return robustness(open_model(folder / "m.onnx"), settings).report.rows[0]


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
