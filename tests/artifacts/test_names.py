"""Class names that exporters leave in a file or next to it."""

import json
import shutil

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from vivavoce.artifacts import open_model
from vivavoce.artifacts.names import parse_names

NAMES = ("tench", "great white shark", "O'Hara's cock")


def linear(path, metadata=None, nodes=(), output="scores", opsets=()):
    """A linear classifier of three classes of 4 x 4 images."""
    weight = np.random.default_rng(0).normal(size=(48, 3)).astype(np.float32)
    first = [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("MatMul", ["f", "w"], [output])]
    graph = helper.make_graph(
        [*first, *nodes], "g",
        [helper.make_tensor_value_info("x", 1, ["N", 3, 4, 4])],
        [helper.make_tensor_value_info(output, 1, ["N", 3])],
        [numpy_helper.from_array(weight, "w")],
    )  # fmt: skip
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17), *(helper.make_opsetid(*o) for o in opsets)],
        ir_version=8,
    )  # fmt: skip
    helper.set_model_props(model, metadata or {})
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("names", repr(dict(enumerate(NAMES)))),
        ("names", repr(list(NAMES))),
        ("ultralytics.names", repr(dict(enumerate(NAMES)))),
        ("id2label", json.dumps({str(k): name for k, name in enumerate(NAMES)})),
        ("label2id", json.dumps({name: k for k, name in enumerate(NAMES)})),
        ("classes", "\n".join(NAMES)),
        ("labels", ",".join(NAMES)),
        ("class_names", json.dumps(NAMES)),
    ],
)
def test_metadata(tmp_path, key, text):
    model = open_model(linear(tmp_path / "m.onnx", {"unrelated": "[1, 2, 3]", key: text}))
    assert (model.manifest.classes, model.named) == (NAMES, True)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("labels.txt", "\n".join(NAMES) + "\n"),
        ("labels.txt", "".join(f"{k} {name}\r\n" for k, name in enumerate(NAMES))),
        ("m.names", "\n".join(NAMES)),
        ("m_labels.txt", "\n".join(NAMES)),
        ("class_names.json", json.dumps(NAMES)),
        ("labels.json", json.dumps({str(k): ["n01440764", name] for k, name in enumerate(NAMES)})),
        ("config.json", json.dumps({"id2label": {str(k): name for k, name in enumerate(NAMES)}})),
        ("config.json", json.dumps({"pretrained_cfg": {"label_names": NAMES}})),
    ],
)
def test_files_next_to_the_model(tmp_path, capsys, file, text):
    (tmp_path / file).write_text(text)
    model = open_model(linear(tmp_path / "m.onnx"))
    assert (model.manifest.classes, model.named) == (NAMES, True)


@pytest.mark.parametrize(
    "text",
    [
        "tench\nshark",
        "a,b,c,d",
        json.dumps({"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}),
        json.dumps({"1": "a", "2": "b", "4": "c"}),
        json.dumps(["a", None, "c"]),
        json.dumps([True, False, True]),
        "{'a': ",
        "[" * 100_000,
        "[" + "-" * 100_000 + "1]",
        "{0: 'a', 1: 'b', 2: __import__('os').getcwd()}",
        "",
        "\0",
    ],
)  # fmt: skip
def test_what_is_no_list_of_the_classes_is_left(tmp_path, text):
    (tmp_path / "config.json").write_text(json.dumps({"id2label": text}))
    (tmp_path / "labels.txt").write_text(text)
    model = open_model(linear(tmp_path / "m.onnx", {"names": text}))
    assert (model.manifest.classes, model.named) == (("0", "1", "2"), False)


def test_names_that_occur_twice_are_numbered():
    assert parse_names("crane\ncrane\nkite", 3) == ("crane", "crane (2)", "kite")


def test_the_users_names_come_first(tmp_path):
    (tmp_path / "labels.txt").write_text("\n".join(NAMES))
    (tmp_path / "mine.txt").write_text("a\nb\nc\n")
    (tmp_path / "m.toml").write_text('classes = "mine.txt"\n')
    assert open_model(linear(tmp_path / "m.onnx", {"names": repr(NAMES)})).manifest.classes == ("a", "b", "c")


def test_a_model_with_a_manifest_keeps_its_names(tmp_path):
    (tmp_path / "labels.txt").write_text("\n".join("abcdefghij"))
    shutil.copy(open_model("digits-category").path, tmp_path / "m.onnx")
    assert open_model(tmp_path / "m.onnx").manifest.classes == tuple("0123456789")
