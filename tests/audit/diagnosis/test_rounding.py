"""Rounding undoes examples on the decision boundary by design, and others only by fault."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from vivavoce.artifacts import open_model
from vivavoce.audit.attacks.base import Ball
from vivavoce.audit.diagnosis.observing import rounding
from vivavoce.audit.outcomes import IMAGE, Evaluation, Outcome
from vivavoce.audit.plan import Settings
from vivavoce.audit.protocol import resolve
from vivavoce.audit.run import robustness

SIDE, N = 48, 24


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A linear classifier of noise, which less than half a grey level in every pixel can sway, and images."""
    folder = tmp_path_factory.mktemp("rounding")
    draw = np.random.default_rng(0)
    weights = draw.normal(size=(3 * SIDE * SIDE, 3)).astype("f4")
    nodes = [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["y"])]
    entry = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])
    scores = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3])
    graph = helper.make_graph(nodes, "g", [entry], [scores], [numpy_helper.from_array(weights, "w")])
    model = helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 17)])
    onnx.save(model, folder / "m.onnx")
    pixels = draw.integers(0, 256, (N, SIDE, SIDE, 3)).astype(np.uint8)
    decisions = (pixels.transpose(0, 3, 1, 2).reshape(N, -1) / 255 @ weights).argmax(1)
    np.savez(folder / "data.npz", images=pixels, labels=decisions, classes=["0", "1", "2"])
    return folder


def checked(folder, protocol):
    settings = Settings(data=str(folder / "data.npz"), protocol=protocol)
    report = robustness(open_model(folder / "m.onnx"), settings).report
    return next(check for check in report.diagnosis if check.name == "lost by rounding"), report


def test_examples_of_the_smallest_change_are_not_tested(made):
    check, report = checked(made, resolve("quick", smallest=True))
    assert (check.level, check.statistic) == ("fine", 0)
    assert check.meaning.startswith("not tested: the attacks look for the smallest change")
    assert report.rows[-1].accuracy_rounded > report.rows[-1].accuracy, "rounding undoes some of them"
    assert "8-bit" not in report.verdict


def test_examples_that_no_stored_image_can_hold_raise_the_alarm(made):
    check, _ = checked(made, resolve("quick", ["pgd"], [0.45 / 255]))
    assert check.level == "suspicious"
    assert check.meaning.startswith("0 of ")


def test_rows_of_an_ensemble_count_what_they_break_themselves():
    """Five images, broken by: PGD in the small ball, FAB there, PGD in the large one, FAB there, nothing."""
    survivors = {
        ("pgd", 0.01): [0, 1, 1, 1, 1],
        ("fab-t", 0.01): [0, 0, 1, 1, 1],
        ("pgd", 0.02): [0, 0, 0, 1, 1],
        ("fab-t", 0.02): [0, 0, 0, 0, 1],
    }
    nothing = np.zeros(5, np.int64)
    evaluation = Evaluation(nothing, nothing, nothing, np.zeros(5, bool))
    for (attack, epsilon), right in survivors.items():
        ball = Ball("linf", np.full((1, 1, 1), epsilon, np.float32))
        outcome = Outcome(attack, False, epsilon, ball, np.zeros(5, IMAGE))
        outcome.right[:] = outcome.rounded[:] = right
        outcome.rounded[0] = True
        evaluation.outcomes.append(outcome)
    own = [np.flatnonzero(broken).tolist() for broken in evaluation.broken(ensemble=True)]
    assert own == [[0], [1], [0, 1, 2], [3]], "the largest epsilon starts with all images"
    seen = rounding(evaluation, resolve("standard", epsilons=[0.01, 0.02]))
    assert seen == {"rounded": (4, 2), "on_boundary": 2}
