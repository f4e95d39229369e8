"""Faults planted in a model, each to be found; and honest models, not to be suspected."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from vivavoce.artifacts import open_model
from vivavoce.audit.plan import Settings
from vivavoce.audit.protocol import resolve
from vivavoce.audit.report import load_report
from vivavoce.audit.run import robustness

QUICK = resolve("quick", attacks=["pgd"], epsilons=[0.06])


def plant(path: Path, nodes, constants=(), before="scores", after="hidden", model=None) -> Path:
    """Put nodes between the model's last value and its output `scores`, or between image and first node."""
    model = onnx.load(model or open_model("digits-category").path)
    graph = model.graph
    for node in graph.node:
        names = node.output if before == "scores" else node.input
        for k, name in enumerate(names):
            if name == before:
                names[k] = after
    graph.initializer.extend(numpy_helper.from_array(np.array(v, np.float32), n) for n, v in constants)
    own = list(graph.node)
    del graph.node[:]
    graph.node.extend([*own, *nodes] if before == "scores" else [*nodes, *own])
    onnx.save(model, path)
    return path


def saturated(path, model=None):
    """Probabilities so sure that they are 0 and 1."""
    nodes = [
        helper.make_node("Mul", ["hidden", "big"], ["sharp"]),
        helper.make_node("Softmax", ["sharp"], ["scores"], axis=1),
    ]
    return plant(path, nodes, [("big", 1000.0)], model=model)


def rounded(path, model=None):
    """A step function, through which no gradient passes."""
    nodes = [
        helper.make_node("Mul", ["hidden", "ten"], ["scaled"]),
        helper.make_node("Round", ["scaled"], ["scores"]),
    ]
    return plant(path, nodes, [("ten", 10.0)], model=model)


def clipped(path, model=None):
    """Scores cut off at a level that all of them pass: the gradient is zero."""
    nodes = [
        helper.make_node("Mul", ["hidden", "tiny"], ["small"]),
        helper.make_node("Max", ["small", "floor"], ["cut"]),
        helper.make_node("Sub", ["cut", "floor"], ["level"]),
        helper.make_node("ArgMax", ["hidden"], ["best"], axis=1, keepdims=1),
        helper.make_node("Cast", ["best"], ["number"], to=TensorProto.FLOAT),
        helper.make_node("Equal", ["number", "all"], ["is"]),
        helper.make_node("Cast", ["is"], ["one"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["level", "one"], ["scores"]),
    ]
    constants = [("tiny", 1e-3), ("floor", 10.0), ("all", [list(range(10))])]
    return plant(path, nodes, constants, model=model)


def noisy(path, model=None):
    """Random numbers on the image: every pass answers differently."""
    nodes = [
        helper.make_node("RandomNormalLike", ["image"], ["noise"], scale=0.05),
        helper.make_node("Add", ["image", "noise"], ["shaken"]),
    ]
    return plant(path, nodes, before="image", after="shaken", model=model)


def batch_dependent(path, model=None):
    """Scores less their mean over the batch: the company decides."""
    axes = numpy_helper.from_array(np.array([0], np.int64), "axes")
    nodes = [
        helper.make_node("ReduceMean", ["hidden", "axes"], ["company"], keepdims=1),
        helper.make_node("Sub", ["hidden", "company"], ["scores"]),
    ]
    plant(path, nodes, model=model)
    planted = onnx.load(path)
    planted.graph.initializer.append(axes)
    onnx.save(planted, path)
    return path


PLANTED = {
    saturated: ("saturated output", "masked"),
    rounded: ("no gradient", "suspicious"),
    clipped: ("dead gradients", "masked"),
    noisy: ("random answers", "suspicious"),
    batch_dependent: ("batch-dependent answers", "suspicious"),
}


def report_of(path, limit=48):
    settings = Settings(protocol=QUICK, data="digits", limit=limit, batch_size=48)
    return robustness(open_model(path), settings).report


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("above", [-1e9, 5.0], ids=["everywhere", "in places"])
def test_scores_that_are_not_finite_leave_a_report_that_can_be_read(value, above, small, tmp_path):
    nodes = [
        helper.make_node("Greater", ["hidden", "above"], ["is"]),
        helper.make_node("Where", ["is", "bad", "hidden"], ["scores"]),
    ]
    constants = [("above", above), ("bad", value)]
    report = report_of(plant(tmp_path / "planted.onnx", nodes, constants, model=small))
    assert "images have scores that are not finite" in report.verdict
    assert "preprocessing" not in report.verdict
    (tmp_path / "report.json").write_bytes(report.to_json())
    assert load_report(tmp_path / "report.json") == report


@pytest.mark.parametrize(
    "real",
    [
        pytest.param(False, id="small"),
        pytest.param(True, id="digits-category", marks=pytest.mark.full),
    ],
)
@pytest.mark.parametrize("fault", PLANTED)
def test_planted_faults_are_caught(fault, real, small, tmp_path):
    name, level = PLANTED[fault]
    report = report_of(fault(tmp_path / "planted.onnx", None if real else small), limit=24)
    found = {check.name: check.level for check in report.diagnosis}
    assert found[name] == level, report.verdict
    assert f"gradients {'masked' if 'masked' in found.values() else level} because" in report.verdict


@pytest.mark.parametrize("limit", [24, pytest.param(48, marks=pytest.mark.full)])
@pytest.mark.parametrize("name", ["digits-category", "digits-adversarial.onnx"])
def test_honest_models_are_not_suspected(name, limit, repository):
    fixture = repository / "tests" / "fixtures" / name
    report = report_of(fixture if fixture.exists() else name, limit)
    assert {check.level for check in report.diagnosis} == {"fine"}, report.verdict
    assert report.verdict.endswith("gradients trustworthy")


def test_the_verdict_says_that_the_papers_attacks_are_too_weak_for_the_speech_model():
    """Robustness of a label model under the paper's loss, against the margin between its labels."""
    settings = Settings(protocol=resolve("paper", epsilons=[0.25]), limit=48)
    report = robustness(open_model("digits-speech"), settings).report
    check = next(c for c in report.diagnosis if c.name == "margin attack breaks more")
    assert check.level == "weak", check.meaning
    assert "gradients trustworthy; the paper's attacks are too weak here" in report.verdict
    assert "at epsilon 0.25 (linf, normalized, 24/255 in pixels)" in report.verdict
