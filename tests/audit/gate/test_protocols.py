"""One baseline with several protocols: all are repeated, tested together, and named in every output."""

import csv
import html
import json
import re

import pytest
from breaking import changed, with_noise
from commands import inside
from junitparser import JUnitXml
from PIL import Image
from small import small_digits

from vivavoce.audit import Limits, load_report
from vivavoce.audit.cli import main
from vivavoce.audit.gate.comparison import compare_reports
from vivavoce.audit.pytest_plugin import Examiner
from vivavoce.audit.statistics import holm, sign_test
from vivavoce.errors import VivavoceError

KINDS = ["--attack", "brightness", "--attack", "jpeg", "--severity", "3"]


def call(*arguments, cwd, **environment):
    return inside(main, *arguments, cwd=cwd, **environment)


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """A folder with a model, its baseline under three protocols, and a broken model."""
    home = tmp_path_factory.mktemp("room")
    changed(str(small_digits(home / "model.onnx")), home / "broken.onnx", with_noise(3))
    few = ["--limit", 24, "--attack", "fgsm", "--epsilon", "4/255"]
    protocols = ["--protocol", "quick", "--protocol", "paper"]
    outputs = ["-o", "two.json", "-o", "page.html", "-o", "rows.csv"]
    done = call("robustness", "model.onnx", *few, *protocols, *outputs, cwd=home)
    assert done.returncode == 0, done.stderr
    few = ["--limit", 24, "--protocol", "natural", *KINDS]
    assert call("robustness", "model.onnx", *few, "-o", "natural.json", cwd=home).returncode == 0
    whole, natural = (json.loads((home / name).read_text()) for name in ("two.json", "natural.json"))
    whole["further"].append(natural)
    (home / "model.json").write_text(json.dumps(whole))
    return home


@pytest.fixture(scope="module")
def checked(room):
    """A check that fails, with every output."""
    names = ["j.xml", "s.sarif", "gitlab:q.json", "m.md", "c.json", "c.csv", "p.png"]
    outputs = [part for name in names for part in ("-o", name)]
    done = call("check", "broken.onnx", "--baseline", "model.json", *outputs, cwd=room)
    assert done.returncode == 1, done.stderr
    return done


ROWS = ["clean", "quick:fgsm@4/255", "paper:fgsm-targeted@0.01569", "natural:natural", "natural:jpeg"]


def test_one_command_makes_the_baseline_and_every_output_holds_all_protocols(room):
    report = load_report(room / "two.json")
    assert [part.protocol.name for part in report.parts] == ["quick", "paper"]
    assert report.speed == report.further[0].speed  # measured once
    page = (room / "page.html").read_text()
    assert "The pictures need the model" not in page
    assert re.findall(r'id="(.*?)">Protocol (\w+)', page) == [
        ("protocol-1", "quick"),
        ("protocol-2", "paper"),
    ]
    for part in report.parts:
        assert html.escape(part.verdict) in page
    labels = re.findall('aria-label="(.*?)"', page)
    assert len(set(labels)) == len(labels), "landmarks have names of their own"
    rows = list(csv.DictReader((room / "rows.csv").read_text().splitlines()))
    assert [row["protocol"] for row in rows] == ["quick"] + ["paper"] * (len(rows) - 1)
    assert [float(row["accuracy"]) for row in rows] == [
        row.accuracy for part in report.parts for row in part.rows
    ]


def test_a_check_repeats_every_protocol_and_names_it_in_every_row(checked, room):
    rows = json.loads((room / "c.json").read_text())["rows"]
    names = [row["name"] for row in rows]
    assert set(ROWS) < set(names)
    assert [name for name in names if "clean" in name] == ["clean"]
    for row in rows:
        assert row["protocol"] == row["name"].partition(":")[0].replace("clean", "")
    printed = {line.split()[0] for line in checked.stdout.splitlines() if line.strip()}
    assert set(names) < printed
    cases = [case.name for case in next(iter(JUnitXml.fromfile(str(room / "j.xml"))))]
    assert len(cases) == len(set(cases))
    assert sum(case.startswith("natural: ") for case in cases) >= 3
    found = [issue["description"] for issue in json.loads((room / "q.json").read_text())]
    assert any(text.startswith("quick: ") for text in found)
    results = json.loads((room / "s.sarif").read_text())["runs"][0]["results"]
    assert [result["message"]["text"] for result in results] == found
    assert "| natural: jpeg |" in (room / "m.md").read_text()
    assert "\nnatural:jpeg,natural," in (room / "c.csv").read_text()


def test_all_rows_are_one_family(checked, room):
    rows = json.loads((room / "c.json").read_text())["rows"]
    tested = [row for row in rows if row["before"] > 0 and row["lost"] >= row["gained"]]
    assert len(tested) == len(rows)  # so that every p-value is one of a drop
    corrected = holm([sign_test(row["lost"], row["gained"]) for row in rows])
    assert [row["p"] for row in rows] == pytest.approx(corrected)


def test_limits_name_a_row_with_its_protocol_or_without(room):
    report = load_report(room / "model.json")
    for pattern, found in (("natural:jpeg", 1), ("jpeg", 1), ("quick:*", 1), ("fgsm@*", 2), ("clean", 1)):
        rows = compare_reports(report, report, Limits(row_drops=((pattern, 3.0),))).rows
        assert sum(row.tolerance == 3 for row in rows) == found, pattern
    with pytest.raises(VivavoceError, match="the rows are clean, quick:fgsm@4/255, paper:"):
        compare_reports(report, report, Limits(row_drops=(("fog", 3.0),)))


def test_update_keeps_every_protocol(room, tmp_path):
    baseline = tmp_path / "b.json"
    baseline.write_bytes((room / "model.json").read_bytes())
    done = call("check", "broken.onnx", "--baseline", baseline, "--update", cwd=room)
    assert done.returncode == 0, done.stderr
    report = load_report(baseline)
    assert [part.protocol.name for part in report.parts] == ["quick", "paper", "natural"]
    assert {part.model.file for part in report.parts} == {"broken.onnx"}


def test_show_and_compare_understand_it(room, tmp_path):
    names = ["t.md", "t.json", "t.xml", "t.sarif", "t.html", "t.csv", "t.png"]
    outputs = [part for name in names for part in ("-o", tmp_path / name)]
    done = call("show", "model.json", *outputs, cwd=room)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("protocol ")] == [
        "protocol quick", "protocol paper", "protocol natural",
    ]  # fmt: skip
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(names)
    assert f"wrote {tmp_path / 't.md'} (quick, paper, natural)" in done.stderr
    assert (tmp_path / "t.md").read_text().count("\n## ") == 2
    suites = list(JUnitXml.fromfile(str(tmp_path / "t.xml")))
    assert [suite.name for suite in suites] == [
        f"{name}: model.onnx" for name in ("quick", "paper", "natural")
    ]
    cases = [case.name for suite in suites for case in suite]
    assert len(set(cases)) == len(cases) == JUnitXml.fromfile(str(tmp_path / "t.xml")).tests
    parts = load_report(room / "model.json").parts
    wrong = sum(check.level != "fine" for part in parts for check in part.diagnosis)
    assert len(json.loads((tmp_path / "t.sarif").read_text())["runs"][0]["results"]) == wrong
    with Image.open(tmp_path / "t.png") as picture:
        assert picture.height > picture.width
    assert load_report(tmp_path / "t.json") == load_report(room / "model.json")
    done = call("compare", "model.json", tmp_path / "t.json", cwd=room)
    assert done.returncode == 0, done.stderr
    assert "natural:jpeg" in done.stdout
    done = call("compare", "model.json", "natural.json", cwd=room)
    assert done.returncode == 2
    assert "the protocols differ (quick, paper, natural; natural)" in done.stderr


def test_the_pytest_fixture_asserts_all_of_it(room):
    with pytest.raises(AssertionError, match="natural:jpeg"):
        Examiner().audit(room / "broken.onnx").assert_no_regression(room / "model.json")


def test_what_is_of_one_protocol_is_refused_before_the_first_attack(room):
    for arguments, message in (
        (["--protocol", "quick", "--protocol", "quick"], "--protocol quick is given twice"),
        (["--protocol", "quick", "--protocol", "paper", "--severity", 3], "--severity needs --protocol"),
        (
            ["--protocol", "quick", "--protocol", "natural", "--attack", "fogg"],
            "no attack 'fogg'; did you mean",
        ),
        (["--protocol", "quick", "--protocol", "slow"], "no protocol 'slow'"),
        (["--protocol", "quick", "--protocol", "natural", "--references"], "--protocol natural has none"),
        (
            ["--protocol", "natural", "--protocol", "quick", "--shifted", "."],
            "give --protocol natural with it",
        ),
    ):
        done = call("robustness", "model.onnx", *arguments, cwd=room)
        assert done.returncode == 2
        assert message in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def of_another_model(report):
    report["further"][0]["model"]["sha256"] = "0" * 64


def nested(report):
    report["further"][0]["further"] = [report["further"][1]]


DAMAGED = {
    "two reports of one protocol": lambda r: r["further"].append(r["further"][0]),
    "reports of different models": of_another_model,
    "a further report that has further ones": nested,
    "fgsm: an accuracy of 0.999, but": lambda r: r["further"][0]["rows"][0].update(accuracy=0.999),
    "clean: an interval that is not": lambda r: r["further"][1]["clean"].update(interval=[0.9, 0.1]),
    "clean: a threshold accuracy of 0.125": lambda r: r["clean"].update(threshold=0.125, near="////"),
    "its rows are not those of its protocol": lambda r: r["further"][1]["rows"].pop(),
}


@pytest.mark.parametrize("fault", DAMAGED)
def test_damage_in_any_part_is_found(fault, room, tmp_path):
    report = json.loads((room / "model.json").read_text())
    DAMAGED[fault](report)
    (tmp_path / "d.json").write_text(json.dumps(report))
    with pytest.raises(VivavoceError, match=fault):
        load_report(tmp_path / "d.json")
