"""Budgets: how much of an audit fits, that nothing is half done, and that interrupted audits go on."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from audited_orders import costs, covered, finished

from vivavoce.artifacts import open_model
from vivavoce.audit import budget as budgets
from vivavoce.audit.attacks.pgd import PGD
from vivavoce.audit.budget import Budget, Pace
from vivavoce.audit.plan import Settings
from vivavoce.audit.protocol import resolve
from vivavoce.audit.report import load_report
from vivavoce.audit.run import robustness
from vivavoce.audit.state import kept_in
from vivavoce.errors import VivavoceError
from vivavoce.text import duration

SETTINGS = Settings(protocol=resolve("quick", ["pgd"], [0.02, 0.05]), data="digits", limit=24, batch_size=8)


@pytest.fixture(scope="module")
def model(small):
    return open_model(small)


@pytest.fixture(scope="module")
def whole(model):
    return robustness(model, SETTINGS).report


@pytest.mark.parametrize(
    ("text", "amount"),
    [("90s", 90), ("10m", 600), ("1h30m", 5400), ("1.5h", 5400), ("1m0.5s", 60.5), ("2000g", 2000)],
)
def test_times_and_gradients_are_read(text, amount):
    assert Budget.read(text) == Budget(text, amount, in_gradients=text.endswith("g"))


@pytest.mark.parametrize(
    "text", ["", "0", "0s", "0g", "-5s", "10x", "NaN", "inf", "1e3s", "5", "3m2h", "1.5g", "m"]
)
def test_anything_else_is_one_line(text):
    with pytest.raises(
        VivavoceError, match="--budget must be a time such as 90s, 10m or 1h30m, or gradients"
    ):
        Budget.read(text)


@pytest.mark.parametrize("name", ["cifar10-robust-category.quick", "digits-robust-category.standard"])
@pytest.mark.parametrize("budget", ["30s", "2m", None])
def test_intervals_cover_the_figure_of_the_whole_audit(name, budget, repository, monkeypatch):
    report = load_report(repository / "artifacts" / "models" / f"{name}.json")
    orders = 500
    found = covered(report, budget, orders, 0, monkeypatch)
    tolerance = 2.33 * np.sqrt(0.95 * 0.05 / orders)  # one test in a hundred fails by chance at 95 %
    assert found["covered"] >= 0.95 - tolerance
    if budget is not None:
        assert 0 < found["images"] < report.data.n
        assert found["seconds"] <= Budget.read(budget).amount


def test_a_budget_is_used_and_hardly_exceeded(repository, monkeypatch):
    report = load_report(repository / "artifacts" / "models" / "cifar10-robust-category.quick.json")
    cost, draw, spent = costs(report), np.random.default_rng(1), []
    for _ in range(200):
        order = draw.permutation(len(cost))
        spent.append(cost[order[: finished(cost[order], "4m", 64, monkeypatch)]].sum())
    assert np.quantile(spent, 0.05) > 0.85 * 240, "what the diagnosis leaves is used"
    assert max(spent) < 240


def test_the_time_left_is_that_of_the_images_so_far_and_the_diagnosis(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(budgets, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    target = cast(Any, SimpleNamespace(gradients=0, queries=0))
    pace = Pace(target, 100, 10, 20, passes=100, started=0.0)
    pace.mark(0)
    clock.now, target.queries, target.gradients = 30.0, 1000, 0
    pace.mark(10)
    assert pace.seconds_left == pytest.approx(90 * 3 + 20 * 100 * 30 / 1000)
    clock.now, target.queries, target.gradients = 40.0, 1000, 1000
    pace.mark(20)
    assert pace.seconds_left == pytest.approx(80 * 1 + 20 * 100 * 40 / 4000), "the first batch opens sessions"


def test_durations_are_said_as_people_say_them():
    assert [duration(s) for s in (-3, 0.2, 40, 99, 101, 5900, 12000)] == [
        "1 s", "1 s", "40 s", "99 s", "2 min", "99 min", "3 h 20 min",
    ]  # fmt: skip


def test_a_budget_ends_on_whole_images(model, whole):
    part = robustness(model, replace(SETTINGS, budget="400g")).report
    assert (part.data.n < 24, part.data.planned) == (True, 24)
    assert part.data.n >= 2
    assert part.verdict.endswith(f"; {part.data.n} of 24 images were finished within the budget of 400g")
    outcomes = {image.index: image for image in whole.images}
    assert all(image == outcomes[image.index] for image in part.images)
    again = robustness(model, replace(SETTINGS, budget="400g")).report
    assert again.images == part.images


def test_a_budget_that_all_images_fit_changes_nothing(model, whole):
    assert robustness(model, replace(SETTINGS, budget="10h")).report.images == whole.images


def test_an_audit_goes_on_after_its_budget(model, whole, tmp_path):
    kept = replace(SETTINGS, resume=tmp_path / "state")
    part = robustness(model, replace(kept, budget="400g")).report
    seen = []
    rest = robustness(model, kept, lambda what, done, n: seen.append(done) if n else None).report
    assert seen[0] > part.data.n * 2, "what was finished is not attacked again"
    assert rest.images == whole.images
    assert rest.verdict == whole.verdict


def test_finished_probes_are_not_repeated(model, whole, tmp_path, monkeypatch):
    kept = replace(SETTINGS, resume=tmp_path / "state")

    def stop(what, done, n):
        if what == "diagnosis: huge":
            raise KeyboardInterrupt

    with pytest.raises(
        KeyboardInterrupt, match=r"stopped after 24 of 24 images; .* run the same command again"
    ):
        robustness(model, kept, stop)
    steps, sweep = [], PGD.sweep

    def counted(attack, *given):
        steps.append(attack.steps)
        return sweep(attack, *given)

    monkeypatch.setattr(PGD, "sweep", counted)
    again = robustness(model, kept).report
    assert steps == [20, 20, 20], "the batches of the probe that was interrupted, and no other probe"
    assert again.diagnosis == whole.diagnosis
    assert again.images == whole.images


def test_an_interruption_without_a_state_says_so(model):
    def stop(what, done, n):
        if done > 16:
            raise KeyboardInterrupt

    with pytest.raises(
        KeyboardInterrupt, match="stopped after 8 of 24 images; nothing is kept without --resume"
    ):
        robustness(model, SETTINGS, stop)


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (16, "stopped after 8 of 24 images; .*st keeps them"),
        (1, "stopped before any of the 24 images was finished; nothing is kept yet"),
    ],
)
def test_an_interrupted_batch_counts_as_not_finished(model, tmp_path, steps, said):
    """The state that is left behind holds as many images as the message says."""
    path = tmp_path / "st"

    def stop(what, done, n):
        if done > steps:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=said):
        robustness(model, replace(SETTINGS, resume=path), stop)
    assert path.exists() == (steps > 1)
    assert steps == 1 or kept_in(path) == "8 finished images"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"spread": lambda *_: None}, "an audit with --engine ray cannot end early"),
        ({"references": True}, "--references has no place in a --budget"),
        (
            {"protocol": resolve("natural", ["fog"]), "budget": "5g"},
            "counts gradients, but no attack takes one",
        ),
        ({"protocol": resolve("quick", ["square-300"]), "budget": "5g"}, "the attacks are square-300"),
        ({"budget": "soon"}, "--budget must be a time"),
    ],
)
def test_what_a_budget_cannot_go_with_is_one_line(model, changes, message):
    with pytest.raises(VivavoceError, match=message):
        robustness(model, replace(SETTINGS, **({"budget": "5m"} | changes)))


def test_changes_without_an_attacker_have_budgets_of_time(model):
    natural = replace(SETTINGS, protocol=resolve("natural", ["fog"]), budget="0.001s")
    report = robustness(model, natural).report
    assert report.data.n == 2, "a batch that was begun is finished"
    assert "2 of 24 images were finished within the budget of 0.001s" in report.verdict
