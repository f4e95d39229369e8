"""The models that ship, and their baselines."""

import hashlib

import pytest

from vivavoce.artifacts import open_model, shipped_models
from vivavoce.audit import load_report

ROBUST_DIGITS = {("paper", 360), ("standard", 100)}
ROBUST_PHOTOGRAPHS = {("paper", 1000), ("quick", 200)}
ROBUST = {
    "digits-robust-category": ROBUST_DIGITS,
    "digits-robust-speech": ROBUST_DIGITS,
    "cifar10-robust-category": ROBUST_PHOTOGRAPHS,
    "cifar10-robust-speech": ROBUST_PHOTOGRAPHS,
}


@pytest.mark.parametrize("name", shipped_models())
def test_shipped_models_have_a_baseline(name):
    """Of this very file: all 360 digits, 1,000 images of CIFAR-10, and fewer where `standard` takes hours."""
    path = open_model(name).path
    found = {file: load_report(file) for file in path.parent.glob(f"{name}*.json")}
    assert path.with_suffix(".json") in found
    assert {report.model.sha256 for report in found.values()} == {
        hashlib.sha256(path.read_bytes()).hexdigest()
    }
    kinds = {(report.protocol.name, report.data.n) for report in found.values()}
    wanted = {("paper", 360)} if name.startswith("digits") else {("paper", 1000), ("standard", 1000)}
    assert kinds == ROBUST.get(name, wanted)


def test_shipped_models_are_small_and_say_what_they_learnt_from():
    photographs = [name for name in shipped_models() if name.startswith("cifar10")]
    assert len(photographs) == 4
    for name in photographs:
        model = open_model(name)
        assert model.path.stat().st_size <= 10e6
        assert model.manifest.training is not None
        assert "JPEG copy of CIFAR-10" in model.manifest.training.split
        assert model.manifest.training.dataset == "cifar10"
