"""Inputs besides the image: values given by `--fix` or `<model>.toml`, defaults, and messages."""

import dressed
import numpy as np
import onnx
import pytest
from dressed import ROWS, SIDE, F, K, node
from onnx import TensorProto, helper

from vivavoce.artifacts import Preprocessing, open_model
from vivavoce.artifacts.identity import answers_digest
from vivavoce.errors import VivavoceError

IMAGES, _ = dressed.digits()
EXPECTED = dressed.logits(IMAGES[:5])
INTS = TensorProto.INT64


def with_inputs(path, *nodes, constants=None, **inputs):
    """The classifier with further inputs (type and shape), which nodes mix into `y`."""

    def change(graph):
        graph.input.extend(helper.make_tensor_value_info(n, t, s) for n, (t, s) in inputs.items())

    return dressed.save(path, nodes, {"y": (F, ROWS)}, constants, change)


def scores(path, count=5, **fix):
    return open_model(path, Preprocessing(fix=fix or None)).answer(IMAGES[:count]).scores


SCALED = node("Div", ["scores", "temperature"], ["y"])
SHAPES = [(), (1,), (1, 1), ("N", 1), ("N", K), (None, 1), ("any",)]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_number_fills_an_input_of_any_shape(shape, tmp_path):
    nodes = [SCALED]
    if shape == ("any",):
        nodes = [node("Reshape", ["temperature", "one"], ["t"]), node("Div", ["scores", "t"], ["y"])]
    path = with_inputs(tmp_path / "m.onnx", *nodes, temperature=(F, shape), constants={"one": np.array([1])})
    np.testing.assert_allclose(scores(path, temperature=2.5), EXPECTED / 2.5, atol=1e-3)
    for count in (1, 3):  # a value for each image is repeated as often as there are images
        np.testing.assert_allclose(scores(path, count, temperature=4), EXPECTED[:count] / 4, atol=1e-3)


def test_a_file_of_one_row_is_for_every_image(tmp_path):
    path = with_inputs(tmp_path / "m.onnx", node("Add", ["scores", "shift"], ["y"]), shift=(F, ("N", K)))
    shift = np.arange(K, dtype=np.float64)
    for array in (shift, shift[None], shift.astype(np.float32)):
        np.save(tmp_path / "shift.npy", array)
        found = scores(path, shift=str(tmp_path / "shift.npy"))
        np.testing.assert_allclose(found, EXPECTED + shift, atol=1e-3)
    np.testing.assert_allclose(scores(path, shift=tuple(shift)), EXPECTED + shift, atol=1e-3)


@pytest.mark.parametrize("batch", [1, 2])
def test_a_fixed_batch(batch, tmp_path):
    def change(graph):
        graph.input[0].type.tensor_type.shape.dim[0].dim_value = batch
        graph.input.append(helper.make_tensor_value_info("shift", F, [batch, K]))

    path = dressed.save(
        tmp_path / "m.onnx", [node("Add", ["scores", "shift"], ["y"])], {"y": (F, (batch, K))}, None, change
    )
    np.save(tmp_path / "shift.npy", np.ones((1, K), np.float32))
    np.testing.assert_allclose(scores(path, shift=str(tmp_path / "shift.npy")), EXPECTED + 1, atol=1e-3)


def prompts(path):
    """The product with the rows of a table that `ids` chooses, as a joint model of text and images has it."""
    table = np.random.default_rng(0).normal(size=(K, 20)).astype(np.float32)
    nodes = [
        node("Gather", ["table", "ids"], ["t"], axis=1),
        node("ReduceMean", ["t", "last"], ["r"], keepdims=0),
        node("MatMul", ["scores", "r"], ["y"]),
    ]
    held = {"table": table, "last": np.array([2])}
    with_inputs(path, *nodes, constants=held, ids=(INTS, ("C", 4)))
    model = onnx.load(path)
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "C"
    onnx.save(model, path)
    return table


def test_prompts_decide_how_many_classes_there_are(tmp_path):
    table = prompts(tmp_path / "m.onnx")
    digests = set()
    for count in (3, 6):
        ids = np.random.default_rng(count).integers(0, 20, (count, 4)).astype(np.int32)
        np.save(tmp_path / "ids.npy", ids)
        model = open_model(tmp_path / "m.onnx", Preprocessing(fix={"ids": str(tmp_path / "ids.npy")}))
        found = model.answer(IMAGES[:5]).scores
        np.testing.assert_allclose(found, EXPECTED @ table[:, ids].mean(2), atol=1e-3)
        assert len(model.manifest.classes) == count
        digests.add(answers_digest(model))
    assert len(digests) == 2  # the content of the file counts, not its name


def test_values_in_the_settings_file(tmp_path):
    path = with_inputs(
        tmp_path / "m.onnx",
        node("Add", ["scores", "shift"], ["b"]), node("Div", ["b", "temperature"], ["y"]),
        shift=(F, ("N", K)), temperature=(F, ()),
    )  # fmt: skip
    np.save(tmp_path / "shift.npy", np.arange(K))
    (tmp_path / "m.toml").write_text('[fix]\nshift = "shift.npy"\ntemperature = 2.0\n')
    np.testing.assert_allclose(scores(path), (EXPECTED + np.arange(K)) / 2, atol=1e-3)
    found = scores(path, temperature=4.0)  # an option comes before the file of settings
    np.testing.assert_allclose(found, (EXPECTED + np.arange(K)) / 4, atol=1e-3)


def test_inputs_with_defaults_need_no_value(tmp_path):
    path = with_inputs(
        tmp_path / "m.onnx", SCALED, temperature=(F, ()), constants={"temperature": np.float32(2)}
    )
    np.testing.assert_allclose(scores(path), EXPECTED / 2, atol=1e-3)
    np.testing.assert_allclose(scores(path, temperature=8), EXPECTED / 8, atol=1e-3)


def test_inputs_that_the_scores_do_not_need_are_left_out(tmp_path):
    def change(graph):
        graph.input.append(helper.make_tensor_value_info("text", INTS, ["C", 7]))

    tail = [node("Cast", ["text"], ["text_features"], to=1), node("Identity", ["scores"], ["y"])]
    outputs = {"y": (F, ROWS), "text_features": (F, ("C", 7))}
    path = dressed.save(tmp_path / "m.onnx", tail, outputs, None, change)
    np.testing.assert_allclose(scores(path), EXPECTED, atol=1e-3)
    np.testing.assert_allclose(scores(path, text=1), EXPECTED, atol=1e-3)


def test_an_input_called_as_ours(tmp_path):
    nodes = [node("Add", ["other", "image"], ["i"]), node("Identity", ["scores"], ["y"])]
    path = with_inputs(tmp_path / "m.onnx", *nodes, other=(F, ("N", 3, SIDE, SIDE)))
    model = onnx.load(path)
    graph = model.graph
    mixed = next(n for n in graph.node if n.op_type == "Add")
    first = next(n for n in graph.node if "image" in n.input)
    graph.node.remove(mixed)
    first.input[0] = "i"
    graph.node.insert(0, mixed)
    onnx.save(model, path)
    for fixed in ("image", "other"):
        found = open_model(path, Preprocessing(fix={fixed: 0.0})).answer(IMAGES[:5]).scores
        np.testing.assert_allclose(found, EXPECTED, atol=1e-3)


WRONG = {
    "no value": ({}, r"2 inputs \(image float \[N, 3, 32, 32\], ids int64 \[C, 4\]\).*--fix ids=FILE.npy"),
    "no such input": ({"text": 1}, "--fix text: no such input; the inputs are image, ids"),
    "no such file": ({"ids": "gone.npy"}, "gone.npy: no such file"),
    "no file of arrays": ({"ids": "ids.txt"}, "neither a number nor a .npy file"),
    "not whole": ({"ids": 0.5}, r"int64 \[C, 4\]; the value has numbers that do not fit that type"),
    "too large": ({"ids": 2**70}, "do not fit that type"),
    "no number": ({"ids": float("nan")}, "do not fit that type"),
    "other sizes": ({"ids": (1, 2, 3)}, r"the input is int64 \[C, 4\], the value int64 \[3\]"),
    "all": ({"ids": 1, "image": 0.0}, "drop the --fix"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_values_are_one_line(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    prompts(tmp_path / "m.onnx")
    fix, message = WRONG[name]
    with pytest.raises(VivavoceError, match=message) as caught:
        open_model(tmp_path / "m.onnx", Preprocessing(fix=fix))
    assert "\n" not in str(caught.value)


def test_an_array_file_is_bounded_and_never_unpickled(tmp_path):
    prompts(tmp_path / "m.onnx")
    file = tmp_path / "ids.npy"
    np.save(file, np.array([{}], object), allow_pickle=True)
    whole = tmp_path / "whole.npy"
    np.save(whole, np.zeros((3, 4), np.int64))
    declared = whole.read_bytes().replace(b"(3, 4)", b"(1<<40,)")
    for content in (file.read_bytes(), b"not an array", whole.read_bytes()[:-8], declared,
                    whole.read_bytes().replace(b"(3, 4), ", b"(3333, 4)")):  # fmt: skip
        file.write_bytes(content)
        with pytest.raises(VivavoceError, match="that can be read") as caught:
            open_model(tmp_path / "m.onnx", Preprocessing(fix={"ids": str(file)}))
        assert "\n" not in str(caught.value)


def test_weights_that_nothing_reads_are_left_out(tmp_path):
    """Files of IR version 3 declare their weights as inputs too, used or not."""

    def change(graph):
        graph.input.extend(
            helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in graph.initializer
        )

    path = dressed.save(tmp_path / "m.onnx", [node("Identity", ["scores"], ["y"])], {"y": (F, ROWS)},
                        {"unread": np.zeros((1, 1), np.float32)}, change)  # fmt: skip
    model = onnx.load(path)
    model.ir_version = 3
    onnx.save(model, path)
    np.testing.assert_allclose(scores(path), EXPECTED, atol=1e-3)
