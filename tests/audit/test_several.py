"""Several protocols in one command: a budget that they share, one state, and folders for all of them."""

from dataclasses import replace

import pytest
from commands import inside

from vivavoce.artifacts import open_model
from vivavoce.audit.budget import Budget
from vivavoce.audit.cli import main
from vivavoce.audit.plan import Settings
from vivavoce.audit.protocol import resolve
from vivavoce.audit.report import load_report
from vivavoce.audit.run import robustness
from vivavoce.audit.several import _share, audit_all
from vivavoce.audit.state import kept_in
from vivavoce.errors import VivavoceError

PROTOCOLS = [resolve("quick", ["pgd"], [0.05]), resolve("natural", ["jpeg"], severities=[3])]
SETTINGS = Settings(data="digits", limit=24, batch_size=8)


@pytest.fixture(scope="module")
def model(small):
    return open_model(small)


def stopped_in(protocol, steps):
    def watch(what, done, total):
        if total and what.startswith(f"{protocol}: ") and done >= steps:
            raise KeyboardInterrupt

    return watch


def comparable(report):
    return report.images, report.verdict, report.data, report.diagnosis, report.protocol


def test_one_state_keeps_all_protocols(model, tmp_path):
    state = tmp_path / "state"
    whole = [robustness(model, replace(SETTINGS, protocol=protocol)).report for protocol in PROTOCOLS]
    settings = replace(SETTINGS, resume=state)
    for protocol, steps, said, kept in (
        ("quick", 16, f"after 8 of 24 images; {state} keeps them", "8 finished images"),
        (
            "natural",
            0,
            f"before any of the 24 images was finished; {state} keeps quick",
            "24 finished images",
        ),
        ("natural", 9, f"after 8 of 24 images; {state} keeps them", "quick: 24 finished images"),
    ):
        with pytest.raises(KeyboardInterrupt, match=f"{protocol}: stopped {said}"):
            audit_all(model, settings, PROTOCOLS, stopped_in(protocol, steps))
        assert kept_in(state).startswith(kept)
    assert "; natural: 8 finished images" in kept_in(state)
    again = audit_all(model, settings, PROTOCOLS)
    assert [comparable(audit.report) for audit in again] == [comparable(report) for report in whole]


@pytest.mark.parametrize(
    ("protocols", "model_name"), [(PROTOCOLS[1:], "small"), (PROTOCOLS[::-1], "digits-category")]
)
def test_a_state_of_something_else_is_refused_before_the_work(protocols, model_name, model, tmp_path):
    """Of a protocol that is not wanted any more; of a different model that would come to it later."""
    settings = replace(SETTINGS, resume=tmp_path / "state")
    with pytest.raises(KeyboardInterrupt):
        audit_all(model, settings, PROTOCOLS, stopped_in("quick", 16))
    other = model if model_name == "small" else open_model(model_name)
    seen = []
    with pytest.raises(VivavoceError, match="belongs to a different audit"):
        audit_all(other, settings, protocols, lambda *step: seen.append(step))
    assert not seen


def test_protocols_share_a_budget():
    time, gradients = Budget.read("1m"), Budget.read("900g")
    assert [_share(time, 2, 0, 0), _share(time, 2, 1, 20), _share(time, 2, 1, 58)] == ["30s", "40s", "15s"]
    assert [_share(gradients, 3, place, 1e6) for place in range(3)] == ["300g"] * 3


def test_a_budget_ends_every_protocol(model):
    protocols = [PROTOCOLS[0], resolve("fast", epsilons=[0.05])]
    reports = [audit.report for audit in audit_all(model, replace(SETTINGS, budget="600g"), protocols)]
    for report in reports:
        assert report.verdict.endswith(
            f"{report.data.n} of 24 images were finished within the budget of 300g"
        )
        assert 0 < report.data.n < 24


def test_gradients_of_natural_changes_are_refused_before_the_work(small, tmp_path):
    done = inside(
        main,
        "robustness",
        small,
        "--protocol",
        "quick",
        "--protocol",
        "natural",
        "--budget",
        "99g",
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert done.stderr == "error: --budget 99g counts gradients, but natural takes none; give a time\n"


def test_the_folder_of_patterns_is_made_and_holds_those_of_all_protocols(small, tmp_path):
    attacks = ["--attack", "universal", "--epsilon", "0.1", "--protocol", "quick", "--protocol", "standard"]
    outputs = ["--save-patterns", "new/patterns"]
    done = inside(main, "robustness", small, "--limit", 12, *attacks, *outputs, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    patterns = sorted(path.name for path in (tmp_path / "new/patterns").iterdir())
    assert patterns == ["quick-universal-0.1.png", "standard-universal-0.1.png"]


def test_options_go_to_the_protocols_that_they_are_for(small, tmp_path):
    both = ["--protocol", "quick", "--protocol", "natural", "--attack", "pgd", "--attack", "jpeg"]
    options = ["--epsilon", 0.05, "--severity", 3, "--limit", 6, "-o", "r.json"]
    done = inside(main, "robustness", small, *both, *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = [(row.attack, row.epsilon) for part in load_report(tmp_path / "r.json").parts for row in part.rows]
    assert rows == [("pgd", 0.05), ("jpeg", 3)]


def test_two_models_are_compared_under_several_protocols(small, tmp_path):
    asked = ["--limit", 6, "--protocol", "quick", "--protocol", "natural"]
    done = inside(main, "compare", small, small, *asked, "-o", "c.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "\nnatural:jpeg,natural," in (tmp_path / "c.csv").read_text()
    done = inside(main, "compare", small, small, *asked, "--transfer", cwd=tmp_path)
    assert done.stderr == "error: --transfer takes one --protocol; run it for each of quick and natural\n"
    done = inside(main, "quantize-check", small, small, *asked, "--output", "q.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "\nnatural:jpeg,natural," in (tmp_path / "q.csv").read_text()
