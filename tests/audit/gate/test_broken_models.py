"""Models against their baselines, whole and broken in every way that a gate is for."""

from unittest import mock

import breaking
import pytest
from breaking import changed, noise_that_costs, with_noise

from vivavoce.artifacts import open_model
from vivavoce.audit import check
from vivavoce.audit.diagnosis import probes
from vivavoce.audit.plan import Settings
from vivavoce.audit.protocol import resolve
from vivavoce.audit.run import robustness
from vivavoce.audit.target import Target

PASS = {
    "as it is": lambda name, path: changed(name, path, lambda graph: None),
    "1 % noise": lambda name, path: changed(name, path, with_noise(0.01)),
}
FAIL = {
    "noise that costs 5 points": (lambda name, path: noise_that_costs(5, name, path), "clean"),
    "two classes swapped": (
        lambda name, path: breaking.restated(changed(name, path, breaking.swapped_classes)), "clean",
    ),
    "another normalisation": (lambda name, path: changed(name, path, breaking.other_normalisation), "clean"),
    "a softmax at the end": (
        lambda name, path: changed(name, path, breaking.softmax), "probabilities for scores",
    ),
    "a saturated softmax": (
        lambda name, path: changed(name, path, breaking.saturated_softmax), "saturated output",
    ),
}  # fmt: skip


FEW = 12
"""Images of the diagnosis, where it is not what is tested."""


def quick_baseline(name, limit):
    """One attack that takes a single step."""
    protocol = resolve("paper", attacks=["fgsm"], epsilons=[0.1])
    with mock.patch.object(probes, "IMAGES", FEW):
        return robustness(open_model(name), Settings(protocol=protocol, limit=limit)).report


@pytest.fixture(scope="module")
def baseline(small):
    return quick_baseline(small, 360)


def checked(name, path, baseline=None):
    """Against the stored baseline, or another."""
    with mock.patch.object(probes, "IMAGES", FEW if baseline else probes.IMAGES):
        baseline = baseline or open_model(name).path.with_suffix(".json")
        return check(path, baseline, early=False).comparison


@pytest.mark.parametrize("case", PASS)
def test_what_is_as_good_passes(case, small, baseline, tmp_path):
    passes(small, case, tmp_path, baseline)


@pytest.mark.full
@pytest.mark.parametrize("case", PASS)
@pytest.mark.parametrize("name", ["digits-category", "digits-speech"])
def test_what_is_as_good_passes_by_its_stored_baseline(name, case, tmp_path):
    passes(name, case, tmp_path)


def passes(name, case, tmp_path, baseline=None):
    comparison = checked(name, PASS[case](name, tmp_path / "model.onnx"), baseline)
    assert comparison.passed, comparison.summary


@pytest.mark.parametrize("case", FAIL)
def test_what_is_worse_fails_and_says_why(case, small, baseline, tmp_path):
    fails(small, case, tmp_path, baseline)


@pytest.mark.full
@pytest.mark.parametrize("case", FAIL)
@pytest.mark.parametrize("name", ["digits-category", "digits-speech"])
def test_what_is_worse_fails_by_its_stored_baseline(name, case, tmp_path):
    fails(name, case, tmp_path)


def fails(name, case, tmp_path, baseline=None):
    make, why = FAIL[case]
    comparison = checked(name, make(name, tmp_path / "model.onnx"), baseline)
    failed = [row.name for row in comparison.rows if row.result == "failed"]
    failed += [change.name for change in comparison.changes if change.result == "failed"]
    assert why in failed, comparison.summary


@pytest.mark.full
def test_a_model_whose_gradient_becomes_an_estimate_fails(tmp_path):
    path = changed("digits-category", tmp_path / "model.onnx", breaking.rounded_scores)
    comparison = checked("digits-category", path)
    assert len(comparison.rows) > 1
    assert "no gradient" in comparison.summary
    assert "straight-through estimate" in comparison.summary


@pytest.mark.full
def test_a_model_whose_gradient_is_gone_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(Target, "gradient_missing", "Round has none")
    comparison = checked("digits-category", "digits-category")
    assert [row.name for row in comparison.rows] == ["clean"]
    assert "no gradient" in comparison.summary


def test_the_speech_model_passes_as_it_ships():
    comparison = checked("digits-speech", "digits-speech", quick_baseline("digits-speech", 30))
    assert comparison.passed
    assert comparison.agreement == 1
    assert "clean/threshold" in [row.name for row in comparison.rows]
