"""`audit check` and `audit compare` as a user meets them: good input, none, and broken."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from breaking import changed, softmax, with_noise
from commands import PLAIN, inside
from PIL import Image
from small import small_digits

from vivavoce.audit.cli import main

BIN = Path(sys.executable).parent


def call(*arguments, cwd=None, **environment) -> subprocess.CompletedProcess[str]:
    return inside(main, *arguments, cwd=cwd, **environment)


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A folder with a model, its baseline on 30 images, a broken model and a masked one."""
    home = tmp_path_factory.mktemp("room")
    model = str(small_digits(home / "model.onnx"))
    changed(model, home / "broken.onnx", with_noise(3))
    changed(model, home / "masked.onnx", softmax)
    few = ["--limit", 30, "--attack", "fgsm", "--epsilon", 0.1]
    done = call("robustness", "model.onnx", *few, "-o", "model.json", cwd=home)
    assert done.returncode == 0, done.stderr
    return home


@pytest.fixture(scope="module")
def failed(room):
    """A check that fails, with every output."""
    names = ["j.xml", "s.sarif", "gitlab:q.json", "m.md", "c.json", "c.csv", "p.png"]
    outputs = [part for name in names for part in ("-o", name)]
    done = call("check", "broken.onnx", "--baseline", "model.json", *outputs, cwd=room, GITHUB_ACTIONS="true")
    assert done.returncode == 1, done.stderr
    return done


def test_a_model_passes_against_the_baseline_beside_it(room):
    command = [BIN / "audit", "check", "model.onnx"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=room, check=False, env=PLAIN)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "no regression: model.onnx passes in all 4 rows"
    assert "the smallest drop that 30 images can show: 23.3 points" in done.stdout
    assert "agree: 100.0% (30 of 30)" in done.stdout


def test_a_regression_says_what_broke_and_by_how_much(failed):
    lines = failed.stdout.splitlines()
    told = next(line for line in lines if line.startswith("regression: "))
    assert re.search(r"\d of 4 rows dropped, most of all .*%, \d+\.\d points lower \(\d+ images lost", told)
    assert any(re.match(r"clean .* failed", line) for line in lines)


def test_plain_text_where_there_is_no_terminal(failed):
    assert "\x1b" not in failed.stdout


def test_annotations_on_github(failed, room):
    errors = [line for line in failed.stdout.splitlines() if line.startswith("::error")]
    assert errors
    assert all(line.startswith("::error file=broken.onnx,title=") for line in errors)
    assert all("%25" in line for line in errors)
    fine = call("check", "model.onnx", cwd=room, GITHUB_ACTIONS="true")
    assert fine.stdout.splitlines()[-1].startswith("::notice file=model.onnx")


def test_junit_is_read_by_a_consumer(failed, room):
    from junitparser import Failure, JUnitXml

    (suite,) = JUnitXml.fromfile(str(room / "j.xml"))
    cases = {case.name: case.result for case in suite}
    assert suite.tests == len(cases) == 6  # four rows, size, latency
    assert suite.failures == sum(bool(result) for result in cases.values()) >= 1
    assert isinstance(cases["clean accuracy"][0], Failure)
    assert "points lower" in cases["clean accuracy"][0].message


def test_sarif_is_read_by_a_consumer(failed, room):
    from sarif import loader

    log = loader.load_sarif_file(str(room / "s.sarif"))
    records = log.get_records()
    assert {r["Severity"] for r in records} == {"error"}
    assert {r["Location"] for r in records} == {"broken.onnx"}
    assert any("clean accuracy" in r["Description"] for r in records)


@pytest.mark.full
def test_sarif_fits_its_schema(failed, room, tmp_path):
    """The schema of SARIF 2.1.0 that an npm package carries."""
    import jsonschema

    package = "@microsoft/jest-sarif@1.0.0-beta.0"
    try:
        subprocess.run(["npm", "pack", "--silent", package], cwd=tmp_path, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"npm cannot fetch {package}: {error}")
    subprocess.run(["tar", "xzf", *tmp_path.glob("*.tgz")], cwd=tmp_path, check=True)
    (schema,) = tmp_path.rglob("sarif-2.1.0-rtm.5.json")
    jsonschema.validate(json.loads((room / "s.sarif").read_text()), json.loads(schema.read_text()))


def test_gitlabs_code_quality(failed, room):
    found = json.loads((room / "q.json").read_text())
    assert found
    for issue in found:
        assert issue.keys() == {"description", "check_name", "fingerprint", "severity", "location"}
        assert issue["location"] == {"path": "broken.onnx", "lines": {"begin": 1}}
    assert len({issue["fingerprint"] for issue in found}) == len(found)


def test_other_outputs(failed, room):
    assert (room / "m.md").read_text().startswith("## ❌ broken.onnx\n\n**regression: ")
    whole = json.loads((room / "c.json").read_text())
    assert not whole["passed"]
    assert len(whole["rows"]) == 4
    assert len((room / "c.csv").read_text().splitlines()) == 5
    with Image.open(room / "p.png") as picture:
        assert picture.width > 500


def test_a_softmax_behind_our_own_scores_is_caught(room):
    done = call("check", "masked.onnx", "--baseline", "model.json", cwd=room)
    assert done.returncode == 1
    assert "as behind a softmax" in done.stdout.splitlines()[-1]


def test_update_writes_a_baseline_that_passes(room, tmp_path):
    baseline = tmp_path / "b.json"
    baseline.write_bytes((room / "model.json").read_bytes())
    done = call("check", "masked.onnx", "--baseline", baseline, "--update", cwd=room)
    assert done.returncode == 0, done.stderr
    assert "as behind a softmax" in done.stdout
    assert "wrote" in done.stderr
    assert call("check", "masked.onnx", "--baseline", baseline, cwd=room).returncode == 0


def test_costs_fail_where_they_are_limited(room):
    done = call("check", "model.onnx", "--max-size", 0.5, cwd=room)
    assert done.returncode == 1
    assert "file size x1.00" in done.stdout.splitlines()[-1]


def test_a_drop_can_be_allowed(room):
    done = call("check", "broken.onnx", "--baseline", "model.json", "--max-drop", 99, cwd=room)
    assert done.returncode == 0, done.stdout


def test_two_reports_are_compared(room, tmp_path):
    (tmp_path / "new.json").write_bytes((room / "model.json").read_bytes())
    done = call("compare", "model.json", tmp_path / "new.json", "-o", tmp_path / "c.png", cwd=room)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith("0 of 4 rows lower, 0 higher")
    assert "two-sided" in done.stdout


def test_two_models_are_compared_in_the_box_of_the_first(room):
    few = ["--limit", 20, "--protocol", "quick", "--epsilon", 0.05]
    done = call("compare", "model.onnx", "broken.onnx", *few, cwd=room)
    assert done.returncode == 0, done.stderr
    assert "pgd@0.05" in done.stdout
    assert "lower" in done.stdout


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def edited(room: Path, folder: Path, change) -> Path:
    report = json.loads((room / "model.json").read_text())
    change(report)
    return write(folder / "edited.json", json.dumps(report))


BAD = {
    "no model": (lambda r, t: ["gone.onnx"], "no such model"),
    "no baseline": (lambda r, t: ["broken.onnx"], "audit robustness broken.onnx --output broken.json"),
    "empty baseline": (lambda r, t: ["model.onnx", "--baseline", write(t / "e.json", "")], "not a report"),
    "baseline of another kind": (
        lambda r, t: ["model.onnx", "--baseline", write(t / "o.json", '{"a": 1}')],
        "not a report",
    ),
    "baseline cut short": (
        lambda r, t: ["model.onnx", "--baseline", write(t / "c.json", (r / "model.json").read_bytes()[:999])],
        "not a report",
    ),
    "outcomes damaged": (
        lambda r, t: ["model.onnx", "--baseline", edited(r, t, lambda x: x["rows"][0].update(survivors="?"))],
        "damaged",
    ),
    "epsilon edited": (
        lambda r, t: [
            "model.onnx", "--baseline", edited(r, t, lambda x: x["protocol"].update(epsilons=[0.05]))
        ],
        "its rows are not those of its protocol",
    ),
    "a row taken out": (
        lambda r, t: ["model.onnx", "--baseline", edited(r, t, lambda x: x["rows"].pop())],
        "its rows are not those of its protocol",
    ),
    "other data": (
        lambda r, t: ["model.onnx", "--baseline", edited(r, t, lambda x: x["data"].update(digest="0" * 64))],
        "the images or labels differ from the baseline's",
    ),
    "another number of images": (
        lambda r, t: ["model.onnx", "--baseline", edited(r, t, lambda x: x["data"].update(total=400))],
        "360 images, but the baseline's data had 400",
    ),
    "data gone": (
        lambda r, t: ["model.onnx", "--baseline", edited(r, t, lambda x: x["data"].update(source="photos"))],
        "photos: no such data set",
    ),
    "alpha": (lambda r, t: ["model.onnx", "--alpha", "1.5"], "alpha must be between 0 and 1"),
    "drop": (lambda r, t: ["model.onnx", "--max-drop", "much"], "or ROW=POINTS, not 'much'"),
    "output": (lambda r, t: ["model.onnx", "-o", "r.docx"], "gitlab:FILE"),
    "output to nowhere": (lambda r, t: ["model.onnx", "-o", "no/r.xml"], "no such folder"),
    "gitlab to nowhere": (lambda r, t: ["model.onnx", "-o", "gitlab:"], "is a folder"),
    "preprocessing": (lambda r, t: ["model.onnx", "--scale", "255"], "manifest"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_line_and_status_2(case, room, tmp_path):
    arguments, message = BAD[case]
    done = call("check", *arguments(room, tmp_path), cwd=room)
    assert done.returncode == 2, done.stdout + done.stderr
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stderr.startswith("error: ")


def test_a_pattern_without_a_row_is_refused_with_the_rows(room):
    done = call("check", "model.onnx", "--max-drop", "pgd@*=3", cwd=room)
    assert done.returncode == 2
    assert "the rows are clean, fgsm@0.1, fgsm-targeted@0.1" in done.stderr


def test_compare_refuses_what_is_a_judgement_and_what_does_not_match(room, tmp_path):
    assert call("compare", "model.json", "model.json", "-o", "j.xml", cwd=room).returncode == 2
    other = edited(room, tmp_path, lambda x: x["environment"].update(seed=3))
    done = call("compare", "model.json", other, cwd=room)
    assert done.returncode == 2
    assert "seed: 0; 3" in done.stderr
    assert done.stderr.startswith(f"error: {other}: ")
    assert call("compare", "model.json", "gone.json", cwd=room).returncode == 2


CRASH = """
import sys
import vivavoce.audit.gate.comparison as room
def crash(*_, **__): raise RuntimeError("on purpose")
room.compare_reports = crash
sys.argv = ["audit", "check", "model.onnx"]
from vivavoce.audit.cli import main
main()
"""


def test_a_crash_is_no_regression(room):
    command = [sys.executable, "-c", CRASH]
    done = subprocess.run(command, capture_output=True, text=True, cwd=room, check=False)
    assert done.returncode == 3, done.stderr
    assert "internal error: RuntimeError: on purpose" in done.stderr


def hear_interruptions() -> None:
    """What a shell starts in the background ignores them, and so do its children."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_an_interruption_is_no_regression(room):
    with subprocess.Popen(
        [BIN / "audit", "check", "digits-speech"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=hear_interruptions,
    ) as process:  # fmt: skip
        time.sleep(4)
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert process.returncode in (130, -signal.SIGINT)  # the latter while it is still being loaded


def test_a_closed_pipe_hides_no_verdict(room):
    for model, status in (("model.onnx", 0), ("masked.onnx", 1)):
        command = f"{BIN / 'audit'} check {model} --baseline model.json | head -1; exit ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=room, check=False)
        assert done.returncode == status, done.stderr
