"""Every kind of input: types, layouts, batches, and what they ask for; on digits and against float64."""

import dressed
import numpy as np
import pytest
from dressed import ROWS, SIDE, F, K, behind_input, node
from onnx import TensorProto, helper, numpy_helper

from vivavoce.artifacts import Preprocessing, decide, open_model
from vivavoce.artifacts.onnx_model import OnnxModel
from vivavoce.errors import VivavoceError
from vivavoce.gradient import InputGradient

INTS = {
    "UINT8": 0.0, "INT8": -128.0, "UINT16": 0.0, "INT32": 0.0, "INT64": 0.0,
}  # fmt: skip
"""Types of whole numbers, and what a black pixel is."""


def entry(path, kind, shape, *nodes, constants=None, output=ROWS):
    return dressed.save(
        path,
        [],
        {"scores": (F, output)},
        constants,
        lambda graph: behind_input(graph, kind, shape, *nodes),
    )


def check(model, atol=1e-4, gradient=1e-5):
    """Scores and decisions on all digits, and the gradient of cross-entropy, against float64."""
    images, labels = dressed.digits()
    expected = dressed.logits(images)
    scores = model.answer(images).scores
    np.testing.assert_allclose(scores, expected, atol=atol * np.abs(expected).max())
    assert (decide(scores) == labels).mean() == (expected.argmax(1) == labels).mean()
    assert isinstance(model, OnnxModel)
    rivals = (labels[:6] + 1) % K
    found = InputGradient(model.graph, "cross-entropy")(images[:6], rivals)[1]
    share = np.exp(dressed.log_softmax(expected[:6])) - np.eye(K)[rivals]
    exact = np.einsum("nk,kchw->nchw", share, dressed.weights())
    assert np.linalg.norm(found - exact) <= gradient * np.linalg.norm(exact)


@pytest.mark.parametrize("opset", [9, 13, 18])
@pytest.mark.parametrize("kind", INTS)
def test_whole_numbers(kind, opset, tmp_path):
    nodes = [
        node("Cast", ["x"], ["f"], to=1),
        node("Sub", ["f", "black"], ["g"]),
        node("Div", ["g", "c"], ["image"]),
    ]
    held = {"c": np.float32(255), "black": np.float32(INTS[kind])}
    path = entry(
        tmp_path / "m.onnx", getattr(TensorProto, kind), ("N", 3, SIDE, SIDE), *nodes, constants=held
    )
    model = dressed.with_opset(path, opset)
    opened = open_model(model)
    check(opened)
    assert opened.understood
    assert opened.understood.entry.whole
    images, _ = dressed.digits()
    nudged = np.clip(images + np.float32(0.4 / 255), 0, 1)
    np.testing.assert_array_equal(opened.answer(nudged).scores, opened.answer(images).scores)


@pytest.mark.parametrize(("kind", "atol", "slope"), [("FLOAT16", 5e-3, 5e-3), ("DOUBLE", 1e-4, 1e-5)])
def test_other_floats(kind, atol, slope, tmp_path):
    path = entry(
        tmp_path / "m.onnx",
        getattr(TensorProto, kind),
        ("N", 3, SIDE, SIDE),
        node("Cast", ["x"], ["image"], to=1),
    )
    check(open_model(path), atol, slope)


NHWC = node("Transpose", ["y"], ["image"], perm=[0, 3, 1, 2])
SAME = node("Identity", ["x"], ["y"])
UNBATCHED = node("Unsqueeze", ["x", "zero"], ["y"])
TO_IMAGE = node("Reshape", ["x", "to"], ["image"])
LAYOUTS = {
    "nchw": (("N", 3, SIDE, SIDE), [node("Identity", ["x"], ["image"])], {}),
    "batch minus one": ((-1, 3, SIDE, SIDE), [node("Identity", ["x"], ["image"])], {}),
    "nhwc": (("N", SIDE, SIDE, 3), [SAME, NHWC], {}),
    "nhwc, open": (("N", "H", "W", "C"), [SAME, NHWC], {"size": (SIDE, SIDE)}),
    "nhwc, sizes open": (("N", None, None, 3), [SAME, NHWC], {"size": (SIDE, SIDE)}),
    "chw": ((3, SIDE, SIDE), [UNBATCHED, node("Identity", ["y"], ["image"])], {}),
    "hwc": ((SIDE, SIDE, 3), [UNBATCHED, NHWC], {}),
    "hwc, sizes open": (("H", "W", 3), [UNBATCHED, NHWC], {"size": (SIDE, SIDE)}),
    "flat": (("N", 3 * SIDE * SIDE), [TO_IMAGE], {}),
    "flat, without a batch": ((3 * SIDE * SIDE,), [TO_IMAGE], {}),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_and_batches(name, tmp_path):
    shape, nodes, options = LAYOUTS[name]
    held = {"zero": np.array([0]), "to": np.array([-1, 3, SIDE, SIDE])}
    output = (1, K) if len(shape) in (1, 3) else ROWS
    path = entry(tmp_path / "m.onnx", F, shape, *nodes, constants=held, output=output)
    check(open_model(path, Preprocessing(**options)))


def test_scores_without_a_batch(tmp_path):
    def change(graph):
        behind_input(graph, F, (3, SIDE, SIDE), node("Unsqueeze", ["x", "zero"], ["image"]))

    path = dressed.save(
        tmp_path / "m.onnx",
        [node("Squeeze", ["scores", "zero"], ["y"])],
        {"y": (F, (K,))},
        {"zero": np.array([0])},
        change,
    )
    check(open_model(path))


def ambiguous(path, shape, *nodes, weight=27):
    """A linear layer with two classes over an input of a shape."""
    held = [
        numpy_helper.from_array(np.random.default_rng(0).random((weight, 2), np.float32), "w"),
        numpy_helper.from_array(np.random.default_rng(1).random((4, 3, 1, 1), np.float32), "k"),
    ]
    graph = helper.make_graph(
        [*nodes, node("Flatten", ["f" if nodes else "x"], ["g"]), node("MatMul", ["g", "w"], ["y"])], "g",
        [helper.make_tensor_value_info("x", F, shape)],
        [helper.make_tensor_value_info("y", F, ["N", 2])], held,
    )  # fmt: skip
    path.write_bytes(
        helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
        ).SerializeToString()
    )
    return path


def test_a_shape_with_two_readings_asks_for_the_layout(tmp_path):
    path = ambiguous(tmp_path / "m.onnx", ["N", 3, 3, 3])
    with pytest.raises(VivavoceError, match="--layout nchw or --layout nhwc"):
        open_model(path)
    image = np.random.default_rng(2).random((1, 3, 3, 3), np.float32)
    first, last = (open_model(path, Preprocessing(layout=k)).answer(image).scores for k in ("nchw", "nhwc"))
    turned = open_model(path, Preprocessing(layout="nchw")).answer(image.transpose(0, 2, 3, 1)).scores
    np.testing.assert_allclose(last, turned, rtol=1e-6)
    assert not np.allclose(first, last)


@pytest.mark.parametrize(("nodes", "nhwc"), [
    ([node("Conv", ["x", "k"], ["f"])], False),
    ([node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]), node("Conv", ["t", "k"], ["f"])], True),
])  # fmt: skip
def test_the_first_layer_tells_the_layout(nodes, nhwc, tmp_path):
    model = open_model(ambiguous(tmp_path / "m.onnx", ["N", 3, 3, 3], *nodes, weight=36))
    assert model.understood
    assert model.understood.entry.nhwc == nhwc


def test_the_first_layer_tells_grey(tmp_path):
    held = [
        numpy_helper.from_array(np.ones((2, 1, 1, 1), np.float32), "k"),
        numpy_helper.from_array(np.array([2, 3]), "a"),
    ]
    graph = helper.make_graph(
        [node("Conv", ["x", "k"], ["c"]), node("ReduceMax", ["c", "a"], ["y"], keepdims=0)], "g",
        [helper.make_tensor_value_info("x", F, ["N", "C", "H", "W"])],
        [helper.make_tensor_value_info("y", F, ["N", 2])], held,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    opened = open_model(tmp_path / "m.onnx", Preprocessing(size=(4, 4)))
    assert opened.manifest.input.channels == 1
    assert opened.answer(np.zeros((2, 1, 4, 4), np.float32)).scores.shape == (2, 2)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (["N", 5, 7], (1, 5, 7)),
        ([5, 7], (1, 5, 7)),
        (["N", 36, 1], (1, 6, 6)),
        ([1, 5, 7], (1, 5, 7)),
        ([36], (1, 6, 6)),
    ],
)
def test_grey_images_of_other_shapes(shape, expected, tmp_path):
    total = np.prod(expected)
    graph = helper.make_graph(
        [node("Reshape", ["x", "to"], ["f"]), node("MatMul", ["f", "w"], ["y"])], "g",
        [helper.make_tensor_value_info("x", F, shape)], [helper.make_tensor_value_info("y", F, ["N", 2])],
        [numpy_helper.from_array(np.arange(2 * total, dtype=np.float32).reshape(total, 2), "w"),
         numpy_helper.from_array(np.array([-1, total]), "to")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    opened = open_model(tmp_path / "m.onnx")
    about = opened.manifest.input
    assert (about.channels, about.height, about.width) == expected
    images = np.random.default_rng(0).random((3, *expected), np.float32)
    weight = np.arange(2 * total, dtype=np.float64).reshape(total, 2)
    np.testing.assert_allclose(opened.answer(images).scores, images.reshape(3, -1) @ weight, rtol=1e-5)
