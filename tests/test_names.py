"""Names from outside are text, wherever they are shown or written."""

import csv
import io
import json
from xml.etree import ElementTree

import msgspec
import numpy as np
import onnx
import pytest
from matplotlib.figure import Figure
from PIL import Image
from typer.testing import CliRunner

from vivavoce.artifacts import open_model
from vivavoce.artifacts.bank import LabelBank
from vivavoce.audit import load_report
from vivavoce.audit.gate.comparison import compare_reports
from vivavoce.audit.gate.findings import code_quality, github_annotations, sarif
from vivavoce.audit.gate.junit import junit
from vivavoce.audit.gate.table import comma_separated, text
from vivavoce.audit.gate.table import markdown as gate_markdown
from vivavoce.audit.report import Report
from vivavoce.audit.writing.table import markdown
from vivavoce.cli import app
from vivavoce.documents import json_of
from vivavoce.drawing import rendered
from vivavoce.text import file_stems
from vivavoce.text import markdown as escaped
from vivavoce.train.labels.sheet import draw_sheet

HOSTILE = (
    "[/]", "[red]x", "[link=http://e]y[/link]", '=cmd|" /C calc"!A0', "-2", "a\n::error::pwned\nb",
    "../../escaped", "a|b`c`<b>", "\x1b[31mred\u202e", "$x_{$ \ud83d",
)  # fmt: skip


def readable(names):
    """What JSON can hold of them: no lone surrogates."""
    return tuple(name.replace("\ud83d", "") for name in names)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A shipped model whose classes have such names, and a picture of a digit."""
    folder = tmp_path_factory.mktemp("hostile")
    graph = onnx.load(open_model("digits-category").path)
    entry = next(e for e in graph.metadata_props if e.key == "vivavoce")
    entry.value = json.dumps(json.loads(entry.value) | {"classes": readable(HOSTILE)})
    graph.producer_name = "[/bold]\n::warning::made"
    onnx.save(graph, folder / "model.onnx")
    for k in range(3):
        Image.fromarray(np.random.default_rng(k).integers(0, 255, (32, 32, 3), np.uint8)).save(
            folder / f"=[bold]{k}.png"
        )
    return folder


@pytest.fixture(scope="module")
def report() -> Report:
    """A report with such names in every place that holds one."""
    shipped = load_report(open_model("digits-category").path.with_suffix(".json"))
    bad = "a\n::error::b|[/]`$<b>\x1b\udcff.onnx"
    manifest = msgspec.structs.replace(shipped.model.manifest, classes=HOSTILE)
    model = msgspec.structs.replace(shipped.model, file=bad, manifest=manifest)
    data = msgspec.structs.replace(shipped.data, name=bad)
    return msgspec.structs.replace(shipped, model=model, data=data, verdict=bad)


def no_command(shown: str) -> None:
    assert not any(line.lstrip().startswith("::") for line in shown.splitlines())
    assert "##[" not in shown
    assert not any(ord(c) < 32 and c != "\n" for c in shown)
    assert "\u202e" not in shown


def test_inspect_shows_names_as_they_are(hostile):
    done = CliRunner().invoke(app, ["audit", "inspect", str(hostile / "model.onnx")])
    assert done.exit_code == 0, done.exception
    assert "[/], [red]x, [link=http://e]y[/link]" in done.output
    assert r"[/bold]\n::warning::made" in done.output
    no_command(done.output)


@pytest.mark.parametrize("form", ["--csv", "--json", "--top=10"])
def test_classify_shows_names_as_they_are(hostile, form):
    arguments = ["classify", str(hostile), "--model", str(hostile / "model.onnx"), "--top=10", form]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.exception
    no_command(done.output)
    if form == "--csv":
        rows = list(csv.reader(io.StringIO(done.output)))
        texts = [cell for row in rows for cell in row if not cell.replace(".", "").lstrip("-").isdigit()]
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in texts)
    if form == "--json":
        lines = [json.loads(line) for line in done.output.splitlines()]
        assert {entry["class"] for line in lines for entry in line["top"]} == set(readable(HOSTILE))


def test_what_a_check_writes_holds_names_as_text(report):
    compared = compare_reports(report, report)
    case = ElementTree.fromstring(junit(compared, report))
    assert r"a\n" in str(case[0].get("name"))
    json.loads(sarif(compared, report.model.file))
    json.loads(code_quality(compared, report.model.file))
    for written in (gate_markdown(compared), markdown(report)):
        no_command(written)
        written.encode()
        heading = written.splitlines()[0]
        assert r"\|\[/\]\`\$\<b\>" in heading
    assert list(csv.reader(io.StringIO(comma_separated(compared))))
    no_command(text(compared))
    for line in github_annotations(compared, report.model.file):
        assert line.count("\n") == 0
        assert line.startswith("::notice file=")


def test_json_holds_what_is_not_utf8(report):
    again = msgspec.json.decode(json_of(report), type=Report)
    assert again.model.file.endswith(r"\udcff.onnx")


def test_a_dollar_begins_no_formula():
    figure = Figure()
    axes = figure.subplots()
    axes.set_title(r"$\undefined{ and $x")
    axes.plot([0, 1], label="$a_{$\x1b")
    axes.legend()
    axes.set_xticks([0, 1], ["$x_{$", "猫"])
    figure.suptitle("$\\frac$\n$")
    for kind in ("png", "svg", "pdf"):
        assert rendered(figure, kind)


def test_the_sheet_of_labels_takes_any_name():
    names = ("a\nb", "\x1b[31m", "$x$", "\ud83d")
    bank = LabelBank("constant\n", np.arange(8, dtype=np.float32).reshape(4, 2), names, names)
    assert draw_sheet(bank).size[0] > 100


def test_file_names_stay_in_their_folder_and_never_collide():
    names = [
        "0/a.png",
        "1/a.png",
        "1/A.png",
        "../../escaped",
        "/etc/passwd",
        "..",
        "::\n",
        "x" * 300,
        "b c.jpg",
    ]
    stems = file_stems(names)
    assert stems[3:5] == ["escaped", "passwd"]
    assert stems[-1] == "b-c"
    assert len({stem.casefold() for stem in stems}) == len(names)
    for stem in stems:
        assert stem
        assert not set(stem) & set("/\\\n:")
        assert not stem.startswith(".")
        assert len(stem.encode()) < 220


def test_markdown_is_escaped():
    assert escaped("a_b|c\n_x_") == r"a_b\|c\\n_x\_"
