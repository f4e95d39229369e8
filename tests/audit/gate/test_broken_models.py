"""Shipped models against their stored baselines, whole and broken in every way that a gate is for."""

import breaking
import pytest
from breaking import changed, noise_that_costs, with_noise

from vivavoce.artifacts import open_model
from vivavoce.audit import check

MODELS = ["digits-category", pytest.param("digits-speech", marks=pytest.mark.full)]
PASS = {
    "as it is": lambda name, path: changed(name, path, lambda graph: None),
    "1 % noise": lambda name, path: changed(name, path, with_noise(0.01)),
}
FAIL = {
    "noise that costs 5 points": (lambda name, path: noise_that_costs(5, name, path), "clean"),
    "two classes swapped": (lambda name, path: changed(name, path, breaking.swapped_classes), "clean"),
    "another normalisation": (lambda name, path: changed(name, path, breaking.other_normalisation), "clean"),
    "a softmax at the end": (
        lambda name, path: changed(name, path, breaking.softmax), "probabilities for scores",
    ),
    "a saturated softmax": (
        lambda name, path: changed(name, path, breaking.saturated_softmax), "saturated output",
    ),
}  # fmt: skip


def checked(name, path):
    return check(path, open_model(name).path.with_suffix(".json")).comparison


@pytest.mark.parametrize("case", PASS)
@pytest.mark.parametrize("name", MODELS)
def test_what_is_as_good_passes(name, case, tmp_path):
    comparison = checked(name, PASS[case](name, tmp_path / "model.onnx"))
    assert comparison.passed, comparison.summary


@pytest.mark.parametrize("case", FAIL)
@pytest.mark.parametrize("name", MODELS)
def test_what_is_worse_fails_and_says_why(name, case, tmp_path):
    make, why = FAIL[case]
    comparison = checked(name, make(name, tmp_path / "model.onnx"))
    failed = [row.name for row in comparison.rows if row.result == "failed"]
    failed += [change.name for change in comparison.changes if change.result == "failed"]
    assert why in failed, comparison.summary


@pytest.mark.full
def test_a_model_whose_gradient_is_gone_fails(tmp_path):
    path = changed("digits-category", tmp_path / "model.onnx", breaking.rounded_scores)
    comparison = checked("digits-category", path)
    assert [row.name for row in comparison.rows] == ["clean"]
    assert "no gradient" in comparison.summary


def test_the_speech_model_passes_as_it_ships(tmp_path):
    comparison = checked("digits-speech", open_model("digits-speech").path)
    assert comparison.passed
    assert comparison.agreement == 1
    assert "clean/threshold" in [row.name for row in comparison.rows]
