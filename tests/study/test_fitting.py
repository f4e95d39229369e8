"""As many epochs as fit: from trials that take made-up times."""

import json

import pytest

from vivavoce.errors import VivavoceError
from vivavoce.study.fitting import fitted
from vivavoce.study.plan import read_plan
from vivavoce.study.running import begin
from vivavoce.train.epoch import Epoch

START = 20.0
"""Seconds of a made-up study besides its epochs."""


class Made:
    """An engine whose epochs take so many seconds, by a clock that moves as they run."""

    workers = 2

    def __init__(self, monkeypatch, seconds: float, fails: str | None = None) -> None:
        self.now, self.seconds, self.fails = 0.0, seconds, fails
        self.trained = list[int]()
        monkeypatch.setattr("vivavoce.study.fitting.time.monotonic", lambda: self.now)

    def run(self, records, device):
        epochs = records[0].cell.set["epochs"]
        self.trained.append(epochs)
        self.now += START + epochs * self.seconds
        for record in records:
            assert not record.cell.audit
            record.folder.mkdir(parents=True)
            epoch = Epoch(epochs, 0.1, 1.0, 1.0, 0.5, self.seconds * self.workers / len(records))
            (record.folder / "history.jsonl").write_text(json.dumps(vars(epoch)))
            yield record, self.fails


@pytest.fixture
def plan():
    return read_plan("table1", "gpu", changes={"epochs": 300})


def test_the_time_is_used_up_but_for_a_reserve(plan, tmp_path, monkeypatch):
    engine, said = Made(monkeypatch, 10), []
    found = fitted(plan, tmp_path, engine, "cpu", 25, said.append)
    assert engine.trained == [1, 3]
    left = 25 * 60 - (2 * START + 4 * 10) - START
    assert found.set["epochs"] == int(0.95 * left / 10) == 133
    assert said == ["an epoch of all cells takes 10.0 s: 133 epochs"]
    assert not list(tmp_path.iterdir())  # the trials are gone


def test_never_more_epochs_than_the_plan_has(plan, tmp_path, monkeypatch):
    assert fitted(plan, tmp_path, Made(monkeypatch, 0.1), "cpu", 25, print).set["epochs"] == 300


def test_a_study_that_has_begun_keeps_its_epochs(plan, tmp_path, monkeypatch):
    begin(fitted(plan, tmp_path, Made(monkeypatch, 10), "cpu", 25, print), tmp_path)
    again = Made(monkeypatch, 5)
    assert fitted(plan, tmp_path, again, "cpu", 50, print).set["epochs"] == 133
    assert not again.trained


@pytest.mark.parametrize(
    ("minutes", "fails", "complaint"),
    [
        (1, None, r"--minutes 1: not even one epoch of all 10 cells fits; give at least 1\.8"),
        (25, "no encoder", "a cell of the trial failed: no encoder"),
    ],
)
def test_what_cannot_be_fitted(minutes, fails, complaint, plan, tmp_path, monkeypatch):
    with pytest.raises(VivavoceError, match=complaint):
        fitted(plan, tmp_path, Made(monkeypatch, 10, fails), "cpu", minutes, print)
