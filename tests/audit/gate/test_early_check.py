"""`audit check` ends early where its answer is decided, and says so everywhere."""

import json

import numpy as np
import pytest
from breaking import changed, with_noise
from commands import inside
from small import small_digits

from vivavoce.artifacts import open_model
from vivavoce.audit import Limits, check, load_report
from vivavoce.audit.cli import main
from vivavoce.audit.report import unpack_bits

N = 320


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A folder with a model, its baseline under two protocols, and a broken model."""
    home = tmp_path_factory.mktemp("room")
    changed(str(small_digits(home / "model.onnx")), home / "broken.onnx", with_noise(3))
    few = ["--limit", N, "--batch-size", 32, "--attack", "fgsm", "--epsilon", "4/255"]
    protocols = ["--protocol", "quick", "--protocol", "standard"]
    done = inside(main, "robustness", "model.onnx", *few, *protocols, "-o", "two.json", cwd=home)
    assert done.returncode == 0, done.stderr
    report = json.loads((home / "two.json").read_text())
    (home / "model.json").write_text(json.dumps(report | {"further": []}))
    return home


def call(*arguments, cwd):
    return inside(main, *arguments, cwd=cwd)


def test_a_broken_model_fails_after_some_images(room):
    outputs = ["j.xml", "m.md", "c.json", "c.png"]
    done = call("check", "broken.onnx", "--baseline", "model.json", *outputs_of(outputs), cwd=room)
    assert done.returncode == 1, done.stderr
    found = json.loads((room / "c.json").read_text())
    (ended,) = found["ended"]
    assert (ended["protocol"], ended["decision"], ended["planned"]) == ("quick", "failed", N)
    assert ended["n"] == found["n"] < N / 2
    line = f"decided after {ended['n']} of {N} images"
    assert done.stdout.splitlines()[-1].endswith(f", {line}")
    assert f"the smallest drop that {N} images can show" in done.stdout
    for name in ("j.xml", "m.md"):
        assert line in (room / name).read_text()
    assert {row["result"] for row in found["rows"]} <= {"failed", "undecided", "tolerated", "same"}
    assert "failed" in {row["result"] for row in found["rows"]}
    for row in found["rows"]:  # both shares are of the same images
        change = round((row["after"] - row["before"]) * ended["n"])
        assert change == row["gained"] - row["lost"]


def outputs_of(names):
    return [part for name in names for part in ("-o", name)]


def test_its_figures_are_those_of_the_first_images_of_the_whole_check(room):
    opened, report = open_model(room / "broken.onnx"), load_report(room / "model.json")
    early, whole = check(opened, report), check(opened, report, early=False)
    assert not early.comparison.passed
    assert not whole.comparison.passed
    assert whole.comparison.ended == ()
    part, all_ = early.audit.report, whole.audit.report
    assert all_.data.n == N
    places = [k for k, image in enumerate(all_.images) if image in set(part.images)]
    assert [all_.images[k] for k in places] == list(part.images)
    for row, complete in zip(part.rows, all_.rows, strict=True):
        kept = unpack_bits(complete.survivors, N)[places]
        assert np.array_equal(kept, unpack_bits(row.survivors, part.data.n))
    failed = {row.name for row in whole.comparison.rows if row.result == "failed"}
    assert {row.name for row in early.comparison.rows if row.result == "failed"} <= failed


def test_a_model_as_it_was_passes_after_some_images(room):
    limits = Limits(max_drop=4)
    comparison = check(room / "model.onnx", room / "model.json", limits).comparison
    assert comparison.passed
    assert comparison.ended[0].decision == "passed"
    assert comparison.summary.endswith(f"decided after {comparison.n} of {N} images")
    assert {row.result for row in comparison.rows} == {"same"}


def test_each_protocol_ends_by_itself(room):
    done = call("check", "broken.onnx", "--baseline", "two.json", "-o", "two-c.json", cwd=room)
    assert done.returncode == 1
    found = json.loads((room / "two-c.json").read_text())
    assert [ended["protocol"] for ended in found["ended"]] == ["quick", "standard"]
    assert [row["name"] for row in found["rows"] if "clean" in row["name"]] == ["clean"]
    assert "(quick decided after " in done.stdout.splitlines()[-1]


def test_an_update_attacks_all_images(room, tmp_path):
    baseline = tmp_path / "b.json"
    baseline.write_bytes((room / "model.json").read_bytes())
    done = call("check", "broken.onnx", "--baseline", baseline, "--update", cwd=room)
    assert done.returncode == 0, done.stderr
    assert "decided after" not in done.stdout
    assert (load_report(baseline).data.n, load_report(baseline).data.planned) == (N, None)


def test_a_wrong_pattern_is_refused_before_any_attack(room):
    done = call("check", "model.onnx", "--max-drop", "fog=3", cwd=room)
    assert done.returncode == 2
    assert "no row matches 'fog'" in done.stderr
