"""`vivavoce classify` and `serve` on files without a manifest, fed by the options of `audit`."""

import json
from pathlib import Path

import numpy as np
import pytest
from commands import inside
from onnx import TensorProto, helper, numpy_helper, save
from PIL import Image
from serving import Process, png

from vivavoce.cli import main

NAMES = ("dark", "bright")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A network that takes 0..255 and calls an image bright above 100, and images of 50 and 150."""
    folder = tmp_path_factory.mktemp("brightness")
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["x", "axes"], ["m"], keepdims=0),
            helper.make_node("Unsqueeze", ["m", "last"], ["column"]),
            helper.make_node("Sub", ["column", "hundred"], ["d"]),
            helper.make_node("Mul", ["d", "signs"], ["y"]),
        ],
        "brightness",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, None, None])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 2])],
        [
            numpy_helper.from_array(np.array([1, 2, 3], np.int64), "axes"),
            numpy_helper.from_array(np.array([1], np.int64), "last"),
            numpy_helper.from_array(np.array(100, np.float32), "hundred"),
            numpy_helper.from_array(np.array([-1, 1], np.float32), "signs"),
        ],
    )
    opset = helper.make_opsetid("", 18)
    save(helper.make_model(graph, opset_imports=[opset], ir_version=8), folder / "m.onnx")
    for level in (50, 150):
        Image.new("RGB", (9, 7), (level,) * 3).save(folder / f"{level}.png")
    (folder / "names.txt").write_text("\n".join(NAMES))
    return folder


def options(folder: Path) -> list[str]:
    return ["--scale", "255", "--size", "4x6", "--classes", str(folder / "names.txt")]


def test_classify_takes_the_options(folder):
    images = [folder / "50.png", folder / "150.png"]
    done = inside(main, "classify", *images, "--model", folder / "m.onnx", "--json", *options(folder))
    assert [json.loads(line)["class"] for line in done.stdout.splitlines()] == list(NAMES)


def test_classify_takes_the_settings_file(folder, tmp_path):
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "m.toml").write_text('scale = 255.0\nsize = [4, 6]\nclasses = "names.txt"\n')
    done = inside(main, "classify", tmp_path / "150.png", "--model", tmp_path / "m.onnx", "--json")
    assert json.loads(done.stdout)["class"] == "bright"


def test_options_for_a_model_with_a_manifest_are_refused(folder):
    done = inside(main, "classify", folder / "50.png", "--model", "digits-speech", "--scale", "255")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "drop the preprocessing options" in done.stderr


def test_the_server_takes_the_options(folder):
    with Process(str(folder / "m.onnx"), *options(folder)) as server:
        reply = server.classify(png(np.full((7, 9, 3), 150, np.uint8)))
    assert reply.json["class"] == "bright"
