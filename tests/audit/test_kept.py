"""Audits without -o keep their report, and `audit show` opens the newest."""

import pytest
from commands import inside

from vivavoce.artifacts import open_model
from vivavoce.audit import kept
from vivavoce.audit.cli import main
from vivavoce.audit.plan import Settings
from vivavoce.audit.protocol import resolve
from vivavoce.audit.run import robustness


def audit(small, folder, *more):
    asked = [
        "robustness",
        small,
        "--data",
        "digits",
        "--protocol",
        "natural",
        "--attack",
        "fog",
        "--severity",
        "1",
    ]
    return inside(main, *asked, "--limit", "4", *more, XDG_STATE_HOME=str(folder))


def reports(folder):
    return sorted((folder / "vivavoce" / "reports").glob("*"))


def test_show_opens_the_newest_and_says_which(small, tmp_path):
    nothing = inside(main, "show", XDG_STATE_HOME=str(tmp_path))
    assert nothing.returncode == 2
    assert nothing.stderr.startswith("error: no report is kept yet")
    first = audit(small, tmp_path)
    second = audit(small, tmp_path, "--seed", "3")
    assert (first.returncode, second.returncode) == (0, 0)
    newest = reports(tmp_path)[-1]
    assert f"kept {newest}; audit show opens it" in second.stderr.replace("\n", " ")
    shown = inside(main, "show", XDG_STATE_HOME=str(tmp_path))
    assert shown.stdout == second.stdout
    assert f"showing {newest}" in shown.stderr


def test_a_report_that_is_written_is_not_kept_too(small, tmp_path):
    done = audit(small, tmp_path / "state", "-o", tmp_path / "r.json")
    assert done.returncode == 0
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("blocked", ["a file in its place", "no folder can be made"])
def test_a_folder_that_cannot_be_written_fails_no_audit(small, tmp_path, blocked):
    if blocked == "a file in its place":
        (tmp_path / "vivavoce").write_text("")
    done = audit(small, tmp_path if blocked == "a file in its place" else "/dev/null")
    assert done.returncode == 0
    assert "kept" not in done.stderr
    assert "robust accuracy" in done.stdout or "accuracy" in done.stdout


def test_the_last_ten_are_kept(small, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    settings = Settings(protocol=resolve("natural", ["fog"], severities=[1]), data="digits", limit=2)
    report = robustness(open_model(small), settings).report
    paths = [kept.keep(report) for _ in range(13)]
    assert kept.kept() == paths[:2:-1]
    assert len(reports(tmp_path)) == 10


def test_a_damaged_newest_report_is_one_line(tmp_path):
    (tmp_path / "vivavoce" / "reports").mkdir(parents=True)
    (tmp_path / "vivavoce" / "reports" / "2026.json").write_text("{")
    shown = inside(main, "show", XDG_STATE_HOME=str(tmp_path))
    assert shown.returncode == 2
    assert "2026.json" in shown.stderr


@pytest.mark.parametrize("budget", ["0", "-5s", "10x", "NaN"])
def test_bad_budgets_end_before_the_model_is_opened(budget, tmp_path):
    done = inside(main, "robustness", tmp_path / "missing.onnx", "--budget", budget)
    assert done.returncode == 2
    assert done.stderr.startswith("error: --budget must be a time such as 90s")


def test_a_budget_keeps_the_state_and_the_next_run_says_that_it_resumes(small, tmp_path):
    more = ("--resume", tmp_path / "state", "--limit", "12")
    cut = audit(small, tmp_path, *more, "--budget", "0.001s")
    assert "2 of 12 images were finished within the budget of 0.001s" in cut.stdout.replace("\n", " ")
    assert f"{tmp_path / 'state'} keeps the finished images; run the same command again" in cut.stderr
    rest = audit(small, tmp_path, *more)
    assert f"resuming: {tmp_path / 'state'} has 2 finished images" in rest.stderr
    assert "were finished" not in rest.stdout
    assert not (tmp_path / "state").exists()
