"""What an evaluation must hold, whatever the model."""

import numpy as np
import pytest

from vivavoce.artifacts import Outputs, open_model
from vivavoce.audit.attacks.base import Ball, Goal
from vivavoce.audit.attacks.fgsm import FGSM
from vivavoce.audit.attacks.iterative import Iterative
from vivavoce.audit.attacks.streams import Streams
from vivavoce.audit.evaluate import evaluate
from vivavoce.audit.plan import Plan
from vivavoce.audit.protocol import resolve
from vivavoce.audit.report import load_report
from vivavoce.audit.summary import write_report
from vivavoce.audit.target import Target
from vivavoce.images import open_images

FEW = np.arange(0, 360, 10)


@pytest.fixture(scope="module")
def digits():
    return open_images("digits")


def run(digits, indices=FEW, **options):
    target = Target(open_model("digits-speech"))
    protocol = resolve("paper", epsilons=[0.0, 0.2])
    return target, evaluate(target, digits, indices, protocol, **options)


def test_epsilon_zero_is_the_clean_accuracy_and_survivors_were_right(digits):
    _, evaluation = run(digits)
    for outcome in evaluation.outcomes:
        assert np.all(outcome.right <= evaluation.right)
        assert np.all(outcome.near <= evaluation.near)
        if outcome.epsilon == 0:
            assert np.array_equal(outcome.right, evaluation.right)
            assert np.array_equal(outcome.near, evaluation.near)
            assert not outcome.moved.any()


def test_perturbations_stay_in_the_box(digits):
    _, evaluation = run(digits)
    for outcome in evaluation.outcomes:
        assert outcome.moved.max() <= outcome.ball.radius.max() * (1 + 1e-5) + 1e-7


def test_batch_size_changes_at_most_one_image_a_row(digits):
    (_, one), (_, other) = run(digits, batch_size=36), run(digits, batch_size=7)
    assert one.digest == other.digest
    for a, b in zip(one.outcomes, other.outcomes, strict=True):
        assert np.sum(a.right != b.right) <= 1
        assert np.sum(a.near != b.near) <= 1


def test_a_subset_meets_the_same_targets(digits):
    (_, all_of_them), (_, some) = run(digits), run(digits, indices=FEW[::2])
    for a, b in zip(all_of_them.outcomes, some.outcomes, strict=True):
        assert np.sum(a.right[::2] != b.right) <= 1
        assert np.sum(a.reached[::2] != b.reached) <= 1


def test_evaluations_are_counted(digits):
    target, evaluation = run(digits)
    attacked = int((evaluation.right | evaluation.near).sum())
    assert [o.gradients for o in evaluation.outcomes] == [
        0,
        attacked,
        0,
        attacked,
        0,
        5 * attacked,
        0,
        5 * attacked,
    ]
    assert target.gradients == 12 * attacked
    assert target.dead == 0


def test_the_report_survives_its_file_and_holds_the_evaluation(digits, tmp_path):
    target, evaluation = run(digits)
    protocol = resolve("paper", epsilons=[0.0, 0.2])
    plan = Plan(
        target=target,
        images=digits,
        source=str(tmp_path / "photos"),
        matching="by name",
        planned=len(FEW),
        indices=FEW,
        goals=np.zeros_like(FEW),
        chosen=False,
        protocol=protocol,
        batch_size=64,
        seed=0,
        command="audit …",
    )
    report = write_report(plan, evaluation, (), ())
    (tmp_path / "r.json").write_bytes(report.to_json())
    again = load_report(tmp_path / "r.json")
    assert again == report
    assert again.clean.accuracy == pytest.approx(evaluation.right.mean())
    assert len(again.images) == len(FEW)
    assert [i.index for i in again.images] == FEW.tolist()
    robust = np.all([o.right for o in evaluation.outcomes if o.epsilon == 0.2], axis=0)
    assert [i.robust for i in again.images] == robust.tolist()
    assert f"{robust.mean():.1%}" in again.verdict
    assert str(tmp_path) not in report.to_json().decode()


class Linear:
    """A model whose gradient is known: scores are +-w.x."""

    understood = None

    def __init__(self):
        self.manifest = open_model("digits-category").manifest
        self.weights = np.random.default_rng(0).normal(0, 1, (3, 4, 4)).astype(np.float32)

    def answer(self, images):
        score = (images * self.weights).sum((1, 2, 3))
        return Outputs(np.stack([score, -score], axis=1))


class LinearTarget(Target):
    def gradient(self, images, classes, loss=None, rivals=None, *, as_it_is=False):
        self.gradients += len(images)
        sign = np.where(classes == 0, -1, 1).astype(np.float32).reshape(-1, 1, 1, 1)
        return sign * self.model.weights  # type: ignore[attr-defined]


@pytest.mark.parametrize("attack", [FGSM(), Iterative(5)])
@pytest.mark.parametrize("targeted", [False, True])
def test_attacks_walk_to_the_corner_of_the_box(attack, targeted):
    target = LinearTarget(Linear())  # type: ignore[arg-type]
    images = np.full((2, 3, 4, 4), 0.5, np.float32)
    radius = np.array([0.1, 0.2, 0.3], np.float32).reshape(3, 1, 1)
    classes = np.array([0, 1])
    goal = Goal(1 - classes, classes) if targeted else Goal(classes)
    streams = Streams.of(0, attack.name, np.arange(2))
    (out,) = attack.sweep(target, images, goal, [Ball("linf", radius)], streams)
    away = np.where(classes == 0, -1, 1).reshape(-1, 1, 1, 1) * (-1 if targeted else 1)
    np.testing.assert_allclose(out, images + radius * away * np.sign(target.model.weights), atol=1e-6)  # type: ignore[attr-defined]


class Constant:
    """A gradient of three images that is always the same, and agrees with the file."""

    def __init__(self, values):
        self.values = values

    def __call__(self, *given, loss):
        return np.zeros(3), self.values, np.zeros((3, 10))

    def strayed(self, scores):
        return np.zeros(len(scores), bool)

    def limit(self, count, budget):
        raise AssertionError("not asked for")


def test_zero_gradients_are_counted():
    target = Target(open_model("digits-category"))
    gradient = np.zeros((3, 3, 32, 32), np.float32)
    gradient[1, 0, 0, 0], gradient[2] = 1, np.nan
    target._gradient = Constant(gradient)
    out = target.gradient(np.zeros((3, 3, 32, 32), np.float32), np.zeros(3, np.int64))
    assert np.isfinite(out).all()
    assert (target.gradients, target.dead) == (3, 2)
