"""`audit show`: everything that a finished report gives without its model."""

import csv
import json
from importlib import resources
from xml.etree import ElementTree

import msgspec
import pytest
from commands import inside
from PIL import Image

from vivavoce.artifacts import open_model
from vivavoce.audit import Settings, load_report, resolve, robustness
from vivavoce.audit.cli import main

MODELS = resources.files("vivavoce.artifacts.models")
SHIPPED = ["digits-category.json", "digits-robust-speech.standard.json"]
"""Reports of an earlier version, without a date: several epsilons, and one."""


def show(*arguments, cwd=None):
    return inside(main, "show", *arguments, cwd=cwd)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_output(tmp_path, name):
    report = MODELS / name
    kinds = ("html", "md", "csv", "xml", "sarif", "json", "png", "svg", "pdf")
    files = {kind: tmp_path / f"r.{kind}" for kind in kinds}
    done = show(report, *(part for file in files.values() for part in ("-o", file)))
    assert done.returncode == 0, done.stderr
    read = load_report(str(report))
    assert read.verdict in " ".join(done.stdout.split())
    assert read.verdict in files["md"].read_text("utf-8")
    assert load_report(files["json"]) == read
    with files["csv"].open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(read.rows)
    for line, row in zip(lines, read.rows, strict=True):
        assert float(line["accuracy"]) == row.accuracy
        assert (float(line["interval_low"]), float(line["interval_high"])) == row.interval
        assert all(" " not in cell for cell in line.values())
    suite = ElementTree.parse(files["xml"]).getroot()[0]
    assert [float(case.attrib["time"]) for case in suite.iter("testcase")][: len(read.rows)] == [
        pytest.approx(row.seconds, abs=1e-3) for row in read.rows
    ]
    doubtful = [check for check in read.diagnosis if check.level != "fine"]
    assert len(suite.findall("testcase/failure")) == len(doubtful)
    assert len(json.loads(files["sarif"].read_text())["runs"][0]["results"]) == len(doubtful)
    with Image.open(files["png"]) as picture:
        assert picture.width > 300
    page = files["html"].read_text("utf-8")
    assert "need the model" in page
    assert "data:image/png" not in page


def test_two_reports_are_compared(tmp_path):
    one, other = (MODELS / f"digits-{kind}.json" for kind in ("category", "robust-category"))
    done = show(one, one, "-o", tmp_path / "c.md")
    assert done.returncode == 0, done.stderr
    assert "0 of" in done.stdout
    assert "digits-category.onnx" in (tmp_path / "c.md").read_text("utf-8")
    refused = show(one, other)
    assert refused.returncode == 2
    assert "cannot be compared" in refused.stderr


BAD = {
    "three": lambda r, t: ([r, r, r], "3 reports; give one, or two"),
    "not there": lambda r, t: ([t / "gone.json"], "gone.json"),
    "the model": lambda r, t: ([r.with_suffix(".onnx")], "digits-category"),
    "output": lambda r, t: ([r, "-o", t / "r.gif"], "unknown output format"),
    "two, output": lambda r, t: ([r, r, "-o", t / "r.xml"], "only `audit check`"),
    "itself": lambda r, t: ([t / "own.json", "-o", t / "own.json"], "is the report itself"),
    "newer": lambda r, t: ([t / "newer.json"], "schema 2; this version reads up to 1: update vivavoce"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_line(tmp_path, case):
    report = MODELS / "digits-category.json"
    content = msgspec.json.decode(report.read_bytes())
    (tmp_path / "own.json").write_bytes(report.read_bytes())
    (tmp_path / "newer.json").write_bytes(msgspec.json.encode(content | {"schema": 2, "rows": "otherwise"}))
    arguments, message = BAD[case](report, tmp_path)
    done = show(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr


def test_a_report_says_when_how_long_and_on_what():
    settings = Settings(protocol=resolve("quick", epsilons=[0.03]), limit=10)
    environment = robustness(open_model("digits-category"), settings).report.environment
    assert environment.date is not None
    assert environment.date.endswith("Z")
    assert environment.seconds is not None
    assert environment.seconds > 0
    assert str(environment.date[:10]) in str(environment.when)
