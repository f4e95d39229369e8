"""`audit explain` from the command line: files, folders, endings."""

import io
import re

import numpy as np
import pytest
from commands import inside
from PIL import Image

from vivavoce.audit.cli import app, main
from vivavoce.errors import VivavoceError
from vivavoce.images import Fit
from vivavoce.images.sources import digits_test


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Five digits, and a smaller one."""
    folder = tmp_path_factory.mktemp("photos")
    for k, pixels in enumerate(digits_test().pixels(np.arange(0, 350, 70), Fit(32, 32))):
        Image.fromarray(pixels).save(folder / f"{k}.png")
    Image.new("RGB", (9, 7), "white").save(folder / "small.png")
    return folder


def explain(*arguments):
    app(["explain", *map(str, arguments)], standalone_mode=False)


def test_every_output(photos, tmp_path, capsys):
    methods = ("--method", "grad-cam", "--method", "gradient-x-input")
    outputs = [tmp_path / f"why.{kind}" for kind in ("png", "html", "npz")]
    explain("digits-speech", photos, *methods, *(x for o in outputs for x in ("-o", o)), "-o", tmp_path)
    assert len(capsys.readouterr().out.splitlines()) == 12
    with Image.open(outputs[0]) as sheet:
        width, height = sheet.size
        assert width > 3 * 224
        assert height > 12 * 224
        pixels = np.asarray(sheet)
    row = pixels[: height // 12]
    panels = [row[60:280, 12 + 236 * k : 236 + 236 * k] for k in range(3)]
    assert all(len(np.unique(panel.reshape(-1, 3), axis=0)) > 5 for panel in panels)
    page = outputs[1].read_text("utf-8")
    assert page.count("<section>") == 12
    assert page.count("data:image/png;base64,") == 36
    assert "http" not in page
    arrays = np.load(outputs[2])
    assert arrays["heat"].shape == (12, 32, 32)
    assert arrays["attribution_gradient-x-input"].shape == (6, 3, 32, 32)
    assert list(arrays["method"][:2]) == ["grad-cam", "gradient-x-input"]
    assert np.allclose(arrays["heat"][1], arrays["attribution_gradient-x-input"][0].sum(0), atol=1e-6)
    assert len(list(tmp_path.glob("*-grad-cam.png"))) == 6


def test_classes_and_their_differences_add_up(photos, tmp_path):
    """The gradient of a difference is the difference of the gradients."""
    one = ("digits-category", photos / "1.png", "--method", "gradient-x-input", "-o", tmp_path / "a.npz")
    explain(*one, "--class", "3", "--class", "5")
    found = np.load(tmp_path / "a.npz")
    assert list(found["goal"]) == ["3", "5"]
    explain(*one, "--class", "3", "--against", "5")
    difference = np.load(tmp_path / "a.npz")
    assert list(difference["rival"]) == ["5"]
    exact = found["heat"][0] - found["heat"][1]
    assert np.allclose(difference["heat"][0], exact, atol=1e-4 * np.abs(exact).max())


def test_the_table_of_the_evaluation(photos, capsys):
    explain("digits-category", photos / "1.png", "--evaluate", "--method", "saliency")
    said = capsys.readouterr().out
    assert "deletion" in said
    assert "random order" in said
    assert re.search(r"1/\d+ random", said)


def test_layers_are_listed(capsys):
    explain("digits-category", "--list-layers")
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].split() == ["relu_6", "Relu", "64", "x", "8", "x", "8", "default"]


def test_an_unreadable_image_does_not_stop_the_others(photos, tmp_path, capsys):
    (tmp_path / "no.png").write_text("hello")
    with pytest.raises(VivavoceError, match="1 image could not be explained"):
        explain("digits-category", tmp_path / "no.png", photos / "1.png", "-o", tmp_path / "y.png")
    assert (tmp_path / "y.png").exists()
    assert "no.png: not an image" in capsys.readouterr().err


def test_a_patch_of_the_word_is_named_and_drawn(photos, tmp_path, capsys):
    explain("digits-speech", photos / "1.png", "-o", tmp_path / "a.png")
    explain("digits-speech", photos / "1.png", "-o", tmp_path / "b.png", "--patch", "0:40,2000:8000")
    assert re.search(r"in 0\.00 to 0\.\d\d s, 2000 to 8000 Hz: Grad-CAM", capsys.readouterr().out)
    with Image.open(tmp_path / "a.png") as one, Image.open(tmp_path / "b.png") as other:
        assert other.width == one.width + 224 + 12


@pytest.mark.parametrize("command", ["explain", "gradient"])
def test_shipped_models_are_called_by_name_in_errors(photos, tmp_path, command):
    rest = {
        "explain": [photos / "1.png", "--quantity", "distance", "-o", tmp_path / "x.png"],
        "gradient": ["--of", "nothing", "-o", tmp_path / "x.onnx"],
    }
    done = inside(main, command, "digits-category", *rest[command])
    assert done.returncode == 2
    assert done.stderr.startswith("error: digits-category: ")


MANY = [a for k in range(10) for a in ("--class", k)] + ["--method", "saliency", "--method", "rise"]
BAD = {
    "no model, and no output": (lambda p, t: ("no-such-model", p), "no such model"),
    "no image": (lambda p, t: ("digits-category", "-o", t / "x.png"), "no images"),
    "empty folder": (lambda p, t: ("digits-category", t, "-o", t / "x.png"), "without images"),
    "no output": (lambda p, t: ("digits-category", p), "--output"),
    "no image at all": (lambda p, t: ("digits-category", t / "gone.png", "-o", t / "x.png"), "no such image"),
    "suffix": (lambda p, t: ("digits-category", p, "-o", t / "x.gif"), ".npz"),
    "folder of output": (lambda p, t: ("digits-category", p, "-o", t / "no" / "x.png"), "no such folder"),
    "output is an image": (
        lambda p, t: ("digits-category", p, "-o", p / "1.png"), "1.png: is one of the images"
    ),
    "class": (lambda p, t: ("digits-category", p, "-o", t / "x.png", "--class", "cat"), "no class 'cat'"),
    "same class": (
        lambda p, t: ("digits-category", p, "-o", t / "x.png", "--class", "1", "--against", "1"),
        "the same class",
    ),
    "too many": (
        lambda p, t: ("digits-category", p, "-o", t / "x.png", *MANY), "too many for one file"
    ),
}  # fmt: skip


def test_a_file_that_does_not_run_gets_no_second_line(photos, tmp_path, repository, capsys):
    """Not a note that occlusion takes over: that cannot run either."""
    with pytest.raises(VivavoceError, match="cannot run this model"):
        explain(repository / "tests/fixtures/keras_nhwc.onnx", photos / "1.png", "-o", tmp_path / "x.png")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_line(photos, tmp_path, case):
    arguments, message = BAD[case]
    with pytest.raises(VivavoceError, match=r"^[^\n]*$") as caught:
        explain(*arguments(photos, tmp_path))
    assert message in str(caught.value)


def test_standard_input(photos, tmp_path, monkeypatch):
    class Pipe:
        buffer = io.BytesIO((photos / "1.png").read_bytes())

        def isatty(self):
            return False

    monkeypatch.setattr("sys.stdin", Pipe())
    explain("digits-category", "-", "-o", tmp_path / "x.npz")
    assert list(np.load(tmp_path / "x.npz")["image"]) == ["-"]
