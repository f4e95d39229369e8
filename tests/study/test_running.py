"""The command on real cells: what is finished stays, what failed is told, what was killed goes on."""

import csv
import os
import signal
import time
from pathlib import Path

import pytest
from commands import finish, inside, vivavoce
from typer.testing import CliRunner

from vivavoce.cli import app, main
from vivavoce.errors import VivavoceError
from vivavoce.study.cell import RESULT
from vivavoce.study.local import LocalEngine, _threads
from vivavoce.study.plan import read_plan
from vivavoce.study.records import open_study
from vivavoce.study.running import begin, changes

STUDY = """
title = "Two labels"
recipe = "fast"
snapshots = [1.0]
[grid]
dataset = ["digits"]
level = [10]
label = ["category", "constant"]
encoder = ["resnet8", "resnet9"]
[set]
epochs = 4
[[audit]]
protocol = "quick"
attack = ["pgd"]
limit = 10
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("plans") / "two.toml"
    path.write_text(STUDY)
    return path


def run(file: Path, out: Path) -> tuple[int, str]:
    """The command inside this process; its cells have processes of their own, of one thread each."""
    done = inside(main, "study", "run", file, "--out", out, "--workers", 2, OMP_NUM_THREADS="1")
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def ran(file, tmp_path_factory) -> tuple[Path, int, str]:
    """A study of four cells, two of which have an encoder that does not exist."""
    out = tmp_path_factory.mktemp("studies") / "two"
    return out, *run(file, out)


def test_failing_cells_do_not_stop_the_rest(ran):
    out, status, said = ran
    assert status == 1, said
    assert "4 cells in" in said
    assert "[4/4]" in said
    assert "2 of 4 cells finished" in said
    assert said.count("digits-resnet9-") == 4  # as they failed, and at the end with their common reason
    both = "failed: digits-resnet9-category-10%-0, digits-resnet9-constant-10%-0: no encoder 'resnet9'; give"
    assert both in " ".join(said.split())
    assert "no encoder 'resnet9'; give vgg19" in said
    records = open_study(out)
    assert {r.cell.name for r in records.finished} == {
        "digits-resnet8-category-10%-0",
        "digits-resnet8-constant-10%-0",
    }
    for record in records.finished:
        assert record.result is not None
        best = max(record.history, key=lambda epoch: epoch.rank)
        assert record.result.best_epoch == best.epoch
        assert record.result.accuracy["validation"] == best.validation_accuracy
        assert record.reports["quick"].data.n == 10
        assert record.reports["quick"].data.name == "digits"
        assert (record.folder / "snapshots" / "epoch-4.safetensors").exists()
        assert "epoch 4/4: loss " in (record.folder / "log.txt").read_text()


def test_the_tables_have_what_the_cells_came_to(ran):
    out, _, _ = ran
    page = (out / "table.md").read_text()
    rows = list(csv.DictReader((out / "table.csv").read_text().splitlines()))
    records = open_study(out).finished
    for record in records:
        assert record.result is not None
        told = [f for f in rows if f["kind"] == record.cell.kind]
        assert (
            float(next(f["value"] for f in told if f["figure"] == "test")) == record.result.accuracy["test"]
        )
        under = record.reports["quick"].rows[0].accuracy
        assert float(next(f["value"] for f in told if f["figure"] == "accuracy")) == under
        assert f"| digits | resnet8 | {record.cell.kind} | {100 * record.result.accuracy['test']:.1f}" in page
    assert "- failed: digits-resnet9-category-10%-0: no encoder 'resnet9'" in page
    assert "| digits | constant | 0.00±0.00 | 0.41±0.25 | 0.41±0.25 | 4, 5: 8.39 |" in page
    for record in records:  # four epochs of 179 images
        assert f"- {record.cell.name}: it did not learn: validation accuracy 1" in page


def test_finished_cells_are_not_run_again(file, ran):
    out, _, _ = ran
    before = {path: path.stat().st_mtime_ns for path in out.rglob(RESULT)}
    status, said = run(file, out)
    assert (status, len(before)) == (1, 2)
    assert "4 cells in" in said
    assert "2 finished before" in said
    assert said.count("[") == 2
    assert "(tried 2 times)" in said
    assert {path: path.stat().st_mtime_ns for path in out.rglob(RESULT)} == before


def test_how_it_stands(ran):
    done = CliRunner().invoke(app, ["study", "status", str(ran[0])], catch_exceptions=False)
    assert "4 cells, 2 finished, 2 failed" in done.output
    assert "failed: digits-resnet9-category-10%-0: no encoder" in done.output


@pytest.mark.full
def test_a_killed_study_loses_nothing(file, ran, tmp_path):
    """Killed while it trains, its cells' processes end too; the next try comes to the same weights, which are
    also those of two cells side by side."""
    arguments = [
        "study",
        "run",
        file,
        "--grid",
        "encoder=resnet8",
        "--grid",
        "label=constant",
        "--parallel",
        1,
    ]
    process = vivavoce(*arguments, "--out", tmp_path, start_new_session=True)
    while not list(tmp_path.glob("cells/*/checkpoint.safetensors")):
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)  # its cells hold the other end
    (cell,) = (tmp_path / "cells").iterdir()
    assert not (cell / RESULT).exists()
    status, said = finish(vivavoce(*arguments, "--out", tmp_path))
    assert status == 0, said
    assert "1 of 1 cells finished" in said
    other = ran[0] / "cells" / cell.name
    assert (cell / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()


@pytest.mark.parametrize(("given", "threads"), [("3", 3), ("0", 2), ("", 2), ("many", 2)])
def test_threads_are_those_of_the_environment_or_a_share_of_the_cores(given, threads, monkeypatch):
    """With OMP_NUM_THREADS the figures do not depend on how many cells run side by side."""
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    assert _threads(2) == threads


def test_a_changed_study_says_what_changed(file, tmp_path):
    begin(read_plan(str(file)), tmp_path)
    later = read_plan(str(file), grid={"label": ["category", "speech"]}, changes={"epochs": 3})
    assert list(changes(open_study(tmp_path).plan, later)) == [
        "grid label category,constant, now category,speech",
        "set epochs 4, now 3",
    ]
    with pytest.raises(VivavoceError, match=r"set epochs 4, now 3.*--accept-changes"):
        begin(later, tmp_path)
    assert {r.cell.label for r in begin(later, tmp_path, accept_changes=True).records} == {
        "category",
        "speech",
    }


def test_what_only_shows_may_change(file, tmp_path):
    begin(read_plan(str(file)), tmp_path / "out")
    other = tmp_path / "two.toml"
    other.write_text(STUDY.replace("Two labels", "Another title"))
    assert begin(read_plan(str(other)), tmp_path / "out").plan.title == "Two labels"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["run", "table2"], "no study 'table2'"),
        (["run", "data-efficiency", "--out", "OUT"], "720 cells, each a model that is trained; give --yes"),
        (["run", "table1", "--budget", "smoke", "--grid", "seed"], "give AXIS=VALUE,VALUE"),
        (
            ["run", "table1", "--budget", "smoke", "--engine", "slurm"],
            "--engine must be local or ray, not 'slurm'",
        ),
        (["run", "table1", "--budget", "smoke", "--address", "here:1"], "--address needs --engine ray"),
        (["run", "table1", "--budget", "smoke", "--cpus", "2"], "--cpus needs --engine ray"),
        (["run", "table1", "--budget", "smoke", "--device", "tpu"], "no device 'tpu'"),
        (["run", "table1", "--budget", "smoke", "--set", "speed=1"], "the fields are"),
        (["run", "table1", "--budget", "smoke", "--out", "/dev/null/x"], "cannot store a study here"),
        (["status", "OUT"], "no study here"),
        (["table", "OUT"], "no study here"),
    ],
)
def test_bad_input_is_one_line(arguments, complaint, tmp_path):
    given = [a.replace("OUT", str(tmp_path / "out")) for a in arguments]
    done = CliRunner().invoke(app, ["study", *given])
    assert isinstance(done.exception, VivavoceError)
    assert complaint in str(done.exception)


def test_nothing_to_show_yet(file, tmp_path):
    begin(read_plan(str(file)), tmp_path)
    for arguments, complaint in (
        (["table", str(tmp_path)], "no cell of this study is finished yet"),
        (["table", str(tmp_path), "-o", "x.html"], "tables are .md or .csv"),
    ):
        done = CliRunner().invoke(app, ["study", *arguments])
        assert isinstance(done.exception, VivavoceError)
        assert complaint in str(done.exception)


def test_a_process_that_dies_at_once_is_a_failed_cell(file, tmp_path, monkeypatch):
    """Its folder is not even there yet; the others go on."""
    plan = read_plan(str(file), grid={"encoder": ["resnet8"]})
    records = begin(plan, tmp_path)
    monkeypatch.setattr("vivavoce.study.local._alone", os.abort)  # which takes none of its arguments
    ended = list(LocalEngine(2).run(records.records, "cpu"))
    assert len(ended) == 2
    for record, reason in ended:
        assert reason == f"its process ended with status 1; {record.folder / 'log.txt'} may say why"
        assert record.failure
        assert record.failure.reason == reason
