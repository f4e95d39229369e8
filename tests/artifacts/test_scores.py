"""Which output of a stranger's file is one of class scores, and which is an embedding."""

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from torch import nn
from torch.nn import functional as F

from vivavoce.artifacts import Preprocessing, open_model
from vivavoce.errors import VivavoceError

WEIGHTS = np.random.default_rng(0).normal(0, 1, (12, 6)).astype(np.float32)
IMAGES = np.random.default_rng(1).random((3, 3, 2, 2), dtype=np.float32)
SCORES = IMAGES.reshape(3, 12) @ WEIGHTS


def save(path, after=(), output="y", shape=("N", 6), image=("N", 3, 2, 2), consts=(), opset=17, start="x"):
    """A linear layer that makes `e`, and nodes after it: (operator, inputs, output, attributes)."""
    first = [("Reshape", ["x", "to"], "f", {}), ("MatMul", ["f", "w"], "e", {})]
    nodes = [helper.make_node(o, i, [n], **a) for o, i, n, a in [*first, *after]]
    values = [helper.make_tensor_value_info(n, 1, s) for n, s in (("x", image), (output, shape))]
    held = [
        numpy_helper.from_array(WEIGHTS, "w"),
        numpy_helper.from_array(np.array([-1, 12], np.int64), "to"),
        *(numpy_helper.from_array(np.asarray(value), name) for name, value in consts),
    ]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], held)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return path


F32 = np.float32
EPS, TWO, HALF, SEVEN = (("c", F32(1e-6)), ("two", F32(2)), ("half", F32(-0.5)), ("seven", F32(7)))
NORM = [("ReduceL2", ["e"], "n", {"axes": [1], "keepdims": 1})]
SQUARES = [("Mul", ["e", "e"], "s", {}), ("ReduceSum", ["s", "a"], "q", {"keepdims": 1})]
AXIS = ("a", np.array([1], np.int64))
EMBEDDINGS = {
    "LpNormalization": ([("LpNormalization", ["e"], "y", {"axis": 1})], []),
    "x / norm": ([*NORM, ("Div", ["e", "n"], "y", {})], []),
    "bounded": ([*NORM, ("Max", ["n", "c"], "m", {}), ("Div", ["e", "m"], "y", {})], [EPS]),
    "root of squares": ([*SQUARES, ("Add", ["q", "c"], "p", {}), ("Sqrt", ["p"], "r", {}),
                         ("Div", ["e", "r"], "y", {})], [EPS, AXIS]),
    "power": ([("Pow", ["e", "two"], "s", {}), ("ReduceSum", ["s", "a"], "q", {"keepdims": 1}),
               ("Pow", ["q", "half"], "r", {}), ("Mul", ["r", "e"], "y", {})], [TWO, HALF, AXIS]),
    "reciprocal root": ([("ReduceSumSquare", ["e"], "q", {"axes": [1]}), ("Sqrt", ["q"], "r", {}),
                         ("Reciprocal", ["r"], "i", {}), ("Mul", ["e", "i"], "y", {})], []),
    "then moved": ([*NORM, ("Div", ["e", "n"], "d", {}), ("Mul", ["d", "seven"], "t", {}),
                    ("Identity", ["t"], "i", {}), ("Flatten", ["i"], "y", {})], [SEVEN]),
}  # fmt: skip


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_an_output_that_ends_in_an_l2_norm_is_an_embedding(name, tmp_path):
    after, consts = EMBEDDINGS[name]
    path = save(tmp_path / "m.onnx", after, consts=consts)
    for options in (Preprocessing(), Preprocessing(output_name="y")):
        with pytest.raises(VivavoceError, match="gives embeddings, not class scores") as caught:
            open_model(path, options)
        assert "\n" not in str(caught.value)


CLASS_WEIGHTS = ("v", np.random.default_rng(2).normal(size=(6, 4)).astype(F32))
SCORED = {
    "cosine": ([*NORM, ("Div", ["e", "n"], "d", {}), ("MatMul", ["d", "v"], "s", {}),
                ("Mul", ["s", "seven"], "y", {})], 4),
    "sums to one": ([("Abs", ["e"], "p", {}), ("ReduceSum", ["p", "a"], "s", {}),
                     ("Div", ["p", "s"], "y", {})], 6),
    "other's norm": ([*NORM, ("Sqrt", ["n"], "r", {}), ("Sigmoid", ["e"], "g", {}),
                      ("Div", ["g", "r"], "y", {})], 6),
    "L1": ([("LpNormalization", ["e"], "y", {"axis": 1, "p": 1})], 6),
    "temperature": ([("Div", ["e", "seven"], "y", {})], 6),
    "softmax after a norm": ([*NORM, ("Div", ["e", "n"], "d", {}), ("Softmax", ["d"], "y", {})], 6),
}  # fmt: skip


@pytest.mark.parametrize("name", SCORED)
def test_other_ends_are_scores(name, tmp_path):
    after, count = SCORED[name]
    path = save(tmp_path / "m.onnx", after, shape=("N", count), consts=[CLASS_WEIGHTS, SEVEN, AXIS])
    assert open_model(path).answer(IMAGES).scores.shape == (3, count)


class Normalised(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(12, 6)

    def forward(self, x):
        return F.normalize(self.layer(x.flatten(1)))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dynamo", [False, True])
def test_torchs_normalize_is_seen(dynamo, tmp_path):
    path = str(tmp_path / "m.onnx")
    torch.onnx.export(Normalised(), (torch.rand(2, 3, 2, 2),), path, dynamo=dynamo, verbose=False)
    with pytest.raises(VivavoceError, match="gives embeddings"):
        open_model(path)


def test_an_output_called_an_embedding_is_one_unless_the_user_says_otherwise(tmp_path):
    after = [("Identity", ["e"], "image_embeds", {})]
    path = save(tmp_path / "m.onnx", after, output="image_embeds")
    with pytest.raises(VivavoceError, match="--output-name image_embeds"):
        open_model(path)
    open_model(path, Preprocessing(output_name="image_embeds"))
    (tmp_path / "names.txt").write_text("a\nb\nc\nd\ne\nf\n")
    assert open_model(path, Preprocessing(classes=str(tmp_path / "names.txt"))).manifest.classes == tuple(
        "abcdef"
    )
    after = [("Softmax", ["e"], "embedded_probabilities", {})]
    open_model(save(tmp_path / "p.onnx", after, output="embedded_probabilities"))


@pytest.mark.parametrize(
    ("after", "shape"),
    [
        ([("Identity", ["e"], "y", {})], ("N", "K")),
        ([("Unsqueeze", ["e", "ax"], "y", {})], ("N", 6, 1, 1)),
        ([("Unsqueeze", ["e", "ax"], "u", {}), ("Softmax", ["u"], "y", {"axis": 1})], ("N", 6, 1, 1)),
        ([("Identity", ["e"], "y", {})], (-1, -1)),
    ],
)
def test_scores_of_other_shapes(after, shape, tmp_path):
    path = save(tmp_path / "m.onnx", after, shape=shape, consts=[("ax", np.array([2, 3], np.int64))])
    np.testing.assert_allclose(open_model(path).answer(IMAGES).scores, SCORES, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 6), (6,)])
def test_an_image_without_a_batch(shape, tmp_path):
    after = [("Reshape", ["e", "out"], "y", {})]
    out = [("out", np.array(shape, np.int64))]
    path = save(tmp_path / "m.onnx", after, shape=shape, image=(3, 2, 2), consts=out)
    np.testing.assert_allclose(open_model(path).answer(IMAGES).scores, SCORES, rtol=1e-5, atol=1e-5)


def test_an_open_batch_written_as_minus_one(tmp_path):
    path = save(tmp_path / "m.onnx", [("Identity", ["e"], "y", {})], shape=(-1, 6), image=(-1, 3, 2, 2))
    np.testing.assert_allclose(open_model(path).answer(IMAGES).scores, SCORES, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("after", "shape", "message"),
    [
        ([("Reshape", ["e", "r"], "y", {})], ("N", 3, 2), "--output-name"),
    ],
)
def test_outputs_that_are_no_scores_say_what_to_do(after, shape, message, tmp_path):
    consts = [("r", np.array([-1, 3, 2], np.int64))]
    path = save(tmp_path / "m.onnx", after, shape=shape, consts=consts)
    with pytest.raises(VivavoceError, match=message) as caught:
        open_model(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("chosen", [None, "y"])
@pytest.mark.parametrize("after", ["", "Identity", "Softmax"])
def test_scores_in_order_of_size_have_no_classes(after, chosen, tmp_path):
    """Softmax keeps the order, so it does not help."""
    top = helper.make_node("TopK", ["e", "k"], ["v", "i"], axis=1)
    path = save(tmp_path / "m.onnx", [("Relu", ["v"], "y", {})], consts=[("k", np.array([6], np.int64))])
    model = onnx.load(path)
    model.graph.node[-1].op_type = after or "Identity"
    model.graph.node.insert(2, top)
    model.graph.output.append(helper.make_tensor_value_info("i", onnx.TensorProto.INT64, ["N", 6]))
    onnx.save(model, path)
    with pytest.raises(VivavoceError, match=r"in order of size|choose one with"):
        open_model(path, Preprocessing(output_name=chosen))
    del model.graph.output[-1]
    onnx.save(model, path)
    with pytest.raises(VivavoceError, match=r"in order of size \(TopK\), .*export the model with the scores"):
        open_model(path)


def test_a_sequence_is_called_one(tmp_path):
    path = save(tmp_path / "m.onnx")
    model = onnx.load(path)
    model.graph.node.append(helper.make_node("SequenceConstruct", ["e"], ["q"]))
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_sequence_value_info("q", 1, ["N", 6]))
    onnx.save(model, path)
    with pytest.raises(VivavoceError, match="the output 'q' is a sequence; a classifier gives float"):
        open_model(path)


def test_a_file_that_onnxruntime_cannot_open_is_named_once(tmp_path):
    path = save(tmp_path / "m.onnx", [("Nothing", ["e"], "y", {"domain": "my.domain"})])
    model = onnx.load(path)
    model.opset_import.append(helper.make_opsetid("my.domain", 1))
    onnx.save(model, path)
    with pytest.raises(VivavoceError, match="cannot run this model") as caught:
        open_model(path).answer(IMAGES)
    assert str(caught.value).count(str(path)) == 1
