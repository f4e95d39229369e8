"""`audit` as a user meets it: good input, none, and broken."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from commands import inside
from PIL import Image

from vivavoce.audit.cli import main

BIN = Path(sys.executable).parent
FEW = ["--limit", "20", "--epsilon", "0", "--epsilon", "0.2"]


def call(*arguments, cwd=None) -> subprocess.CompletedProcess[str]:
    return inside(main, *arguments, cwd=cwd)


def call_apart(*arguments, cwd=None) -> subprocess.CompletedProcess[str]:
    """In a process of its own."""
    command = [BIN / "audit", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


def test_a_shipped_model_with_every_output(tmp_path, repository):
    names = ["r.json", "r.md", "r.csv", "c.png", "c.svg"]
    outputs = [part for name in names for part in ("--output", tmp_path / name)]
    done = call("robustness", "digits-speech", *FEW, *outputs)
    assert done.returncode == 0, done.stderr
    assert "clean accuracy" in done.stdout
    assert "robust accuracy" in done.stdout
    report = json.loads((tmp_path / "r.json").read_text())
    jsonschema.validate(report, json.loads((repository / "audit" / "report.schema.json").read_text()))
    assert report["data"]["n"] == 20
    assert {row["epsilon"] for row in report["rows"]} == {0.0, 0.2}
    assert len((tmp_path / "r.csv").read_text().splitlines()) == 1 + len(report["rows"])
    assert "| epsilon |" in (tmp_path / "r.md").read_text()
    with Image.open(tmp_path / "c.png") as picture:
        assert picture.width > 1000
        assert len(np.unique(np.asarray(picture.convert("L")))) > 10
    assert "<svg" in (tmp_path / "c.svg").read_text()
    assert str(tmp_path) not in (tmp_path / "r.json").read_text()


def test_the_same_seed_gives_the_same_report(small, tmp_path):
    for name, run in (("a.json", call_apart), ("b.json", call)):
        done = run("robustness", small, *FEW, "-o", name, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    a, b = (json.loads((tmp_path / n).read_text()) for n in ("a.json", "b.json"))
    for report in (a, b):
        del report["speed"]
        for name in ("command", "date", "seconds"):
            assert report["environment"].pop(name)
        for row in report["rows"]:
            del row["seconds"]
    assert a == b


def test_pixel_epsilons_and_one_attack(small, tmp_path):
    done = call(
        "robustness", small, "--limit", "10", "--attack", "fgsm",
        "--epsilon", "0.03,8/255", "--epsilon-space", "pixel", "-o", tmp_path / "r.json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "r.json").read_text())["rows"]
    assert {row["attack"] for row in rows} == {"fgsm"}
    assert [row["epsilon_pixels"][0] for row in rows if not row["targeted"]] == pytest.approx([0.03, 8 / 255])


def make_folder(tmp_path, names):
    for name in names:
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.new("RGB", (40, 30), "grey").save(tmp_path / "photos" / name / "a.png")
    return tmp_path / "photos"


def test_a_folder_of_images(small, tmp_path):
    done = call("robustness", small, "--data", make_folder(tmp_path, ["3", "7"]), *FEW)
    assert done.returncode == 0, done.stderr
    assert "photos: 2 images" in done.stdout


def broken(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    return tmp_path / name


BAD = {
    "missing file": lambda t: (["gone.onnx"], "no such model"),
    "empty file": lambda t: ([broken(t, "e.onnx", b"")], "empty"),
    "text named onnx": lambda t: ([broken(t, "t.onnx", b"hello there\n" * 9)], "not an ONNX model"),
    "truncated onnx": lambda t: ([broken(t, "cut.onnx", whole_model()[:100_000])], "cut.onnx"),
    "pickle named pt": lambda t: ([broken(t, "p.pt", pickle.dumps({"a": 1}))], "TorchScript"),
    "folder as model": lambda t: ([t], "export it first"),
    "image that is none": lambda t: (["digits-speech", "--data", folder_with_text(t)], "not an image"),
    "folder without classes": lambda t: (["digits-speech", "--data", t], "no classes"),
    "classes that do not fit": lambda t: (["digits-speech", "--data", make_folder(t, ["cat"])], "'cat'"),
    "no such data": lambda t: (["digits-speech", "--data", "nowhere"], "no such data set"),
    "negative epsilon": lambda t: (["digits-speech", "--epsilon", "-1"], "epsilon must be 0 or more, not -1"),
    "unknown attack": lambda t: (["digits-speech", "--attack", "zzz"], "choose one of fgsm, iterative"),
    "unknown output": lambda t: (["digits-speech", "--output", "r.docx"], ".json"),
    "no folder for output": lambda t: (["digits-speech", "--output", "no/r.json"], "no such folder"),
    "unknown device": lambda t: (["digits-speech", "--device", "tpu"], "cpu, cuda"),
    "preprocessing for our own": lambda t: (["digits-speech", "--scale", "255"], "manifest"),
    "mean that is no number": lambda t: (["digits-speech", "--mean", "a,b"], "--mean"),
    "layout unknown": lambda t: (["digits-speech", "--layout", "chwn"], "--layout"),
}  # fmt: skip


def whole_model() -> bytes:
    from vivavoce.artifacts import open_model

    return open_model("digits-category").path.read_bytes()


def folder_with_text(tmp_path):
    (tmp_path / "photos" / "3").mkdir(parents=True)
    (tmp_path / "photos" / "3" / "a.png").write_text("not a picture")
    return tmp_path / "photos"


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_line_and_status_2(case, tmp_path):
    arguments, message = BAD[case](tmp_path)
    done = call("robustness", *arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stderr.startswith("error: ")


def test_usage_errors_have_status_2():
    assert call_apart("robustness").returncode == 2
    assert call("robustness", "digits-speech", "--no-such-option").returncode == 2
    assert call("robustness", "digits-speech", "--limit", "-3").returncode == 2


def test_debug_shows_the_traceback():
    assert "Traceback" in call("--debug", "robustness", "gone.onnx").stderr


def test_inspect_tells_what_a_file_is():
    done = call("inspect", "digits-speech")
    assert done.returncode == 0, done.stderr
    for part in ("speech", "zero, one", "64 x 64", "3 x 32 x 32", "resnet8", "Conv"):
        assert part in done.stdout
    assert call("inspect", "gone.onnx").returncode == 2


def test_version_names_the_package_and_the_runtime():
    done = call_apart("--version")
    assert done.returncode == 0
    assert "vivavoce" in done.stdout
    assert "onnxruntime" in done.stdout
