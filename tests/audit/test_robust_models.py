"""The robust models that ship, and what `make audit` shows a newcomer."""

import re
import shlex

import pytest
from commands import inside

from vivavoce.artifacts import open_model, shipped_models
from vivavoce.audit import load_report
from vivavoce.audit.cli import main

ROBUST = [name for name in shipped_models() if "robust" in name]
LEAST = {"digits": 0.85, "cifar10": 0.2}
"""Of any row of their reports."""
SPEECH, SPEECH_TRAINED = 0.15, 0.33
"""Of `cifar10-robust-speech`, whose report goes to twice the epsilon of its training with an attack more than
its twin's; and of its rows up to 8/255."""


@pytest.mark.full
def test_make_audit_shows_an_ordinary_and_a_robust_model(repository):
    recipe = re.search(r"^audit:.*\n((?:\t.*\n)+)", (repository / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    ordinary, robust = [re.sub(r"--limit \d+", "--limit 5", line).strip() for line in recipe[1].splitlines()]
    figures, trusted = [], []
    for line in (ordinary, robust):
        program, *arguments = shlex.split(line)
        assert program == ".venv/audit/bin/audit"
        done = inside(main, *arguments)
        assert done.returncode == 0, done.stderr
        verdict = re.search(r"^robust accuracy (\S+)%.*", done.stdout, re.MULTILINE)
        assert verdict
        figures.append(float(verdict[1]))
        trusted.append("gradients trustworthy" in verdict[0])
    assert figures[0] < 50 < 80 < figures[1]
    assert trusted[1]


def test_there_are_robust_twins():
    twins = [f"{data}-robust-{label}" for data in ("cifar10", "digits") for label in ("category", "speech")]
    assert twins == ROBUST
    category, speech = (open_model(name).manifest.training for name in twins[2:])
    assert speech is not None
    assert category is not None
    assert "adversarial fgsm at 0.1" in speech.recipe
    assert (speech.recipe, speech.epochs, speech.seed) == (category.recipe, category.epochs, category.seed)
    assert open_model("digits-robust-speech").voice is not None


@pytest.mark.parametrize("name", ROBUST)
def test_no_check_raises_an_alarm(name):
    path = open_model(name).path
    for file in path.parent.glob(f"{name}*.json"):
        report = load_report(file)
        assert {check.level for check in report.diagnosis} == {"fine"}
        assert report.verdict.endswith("gradients trustworthy")
        if name == "cifar10-robust-speech":
            trained = [row.accuracy for row in report.rows if max(row.epsilon_pixels) < 8.01 / 255]
            assert min(trained) > SPEECH_TRAINED
            assert min(row.accuracy for row in report.rows) > SPEECH
        else:
            assert min(row.accuracy for row in report.rows) > LEAST[name.partition("-")[0]]
