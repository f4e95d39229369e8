"""A gradient whose graph scores otherwise than the file is not used."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.helper import make_node as node

from vivavoce.artifacts import open_model
from vivavoce.audit.target import Target
from vivavoce.errors import VivavoceError
from vivavoce.gradient import InputGradient, preparation, support
from vivavoce.gradient.agreement import FLOAT32, strayed
from vivavoce.gradient.errors import preparing
from vivavoce.gradient.preparation import convolution, pipeline

IMAGES = np.random.default_rng(0).random((8, 3, 32, 32), dtype=np.float32)


def test_only_what_rounding_cannot_explain_counts():
    scores = np.random.default_rng(0).normal(0, 3, (6, 10)).astype(np.float32)
    assert not strayed(scores * np.float32(1 + 1e-5), scores, FLOAT32).any()
    other = scores.copy()
    other[2, 3] += 0.5
    assert strayed(other, scores, FLOAT32).tolist() == [k == 2 for k in range(6)]
    assert not strayed(scores + np.float32(1e5) - np.float32(0.01), scores + np.float32(1e5), FLOAT32).any()


def test_scores_of_the_file_that_are_not_finite_say_nothing():
    scores = np.array([[np.nan, 1, 2], [np.inf, 1, 3], [0, 1, 2]], np.float32)
    assert strayed(np.array([[0, 1, 2], [9, 1, 3], [np.nan, 1, 2]], np.float32), scores, 1e-3).tolist() == [
        False,
        False,
        True,
    ]


def test_the_gradient_of_another_function_is_dropped(monkeypatch):
    """A preparation that changes what the model computes is noticed, and the reason says so."""
    target = Target(open_model("digits-category"))
    target.try_gradient(IMAGES)
    assert target.gradient_missing is None

    whole = convolution.fold_batch_normalization

    def wrong(model):
        whole(model)
        for n in model.graph.node:
            n.op_type = "Softplus" if n.op_type == "Relu" else n.op_type

    monkeypatch.setattr(pipeline, "fold_batch_normalization", wrong)
    target = Target(open_model("digits-category"))
    target.try_gradient(IMAGES)
    assert target.gradient_missing is not None
    assert "scores of its gradient graph are not those of the file" in target.gradient_missing
    assert (target.queries, target.gradients) == (0, 0)


def test_a_change_in_the_middle_of_an_audit_is_counted(monkeypatch):
    target = Target(open_model("digits-category"))
    goals = np.zeros(len(IMAGES), np.int64)
    target.gradient(IMAGES, goals)
    assert (target.compared, target.strayed) == (8, 0)
    target.gradient(IMAGES, goals)
    assert target.compared == 8
    answer = target.model.answer
    moved = iter([1.0, 1.0])  # the file and its second opinion

    def other(images):
        outputs = answer(images)
        scores = outputs.scores + np.float32(next(moved, 0)) * np.arange(10, dtype=np.float32)
        return type(outputs)(scores, outputs.label, outputs.loss)

    monkeypatch.setattr(target.model, "answer", other)
    target.compare_next()
    target.gradient(IMAGES, goals)
    assert (target.compared, target.strayed) == (16, 8)


@pytest.mark.parametrize("error", [RuntimeError("a\nb"), IndexError("far"), ValueError(), TypeError("x")])
def test_whatever_fails_is_one_line_and_a_reason(monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(pipeline, "write_out", fail)
    model = open_model("digits-category")
    reason = Target(model).gradient_missing
    assert reason is not None
    assert type(error).__name__ in reason
    assert "\n" not in reason
    with pytest.raises(VivavoceError, match=type(error).__name__):
        support(model.graph)  # type: ignore[attr-defined]


def test_a_lack_of_memory_is_no_reason():
    with pytest.raises(MemoryError), preparing():
        raise MemoryError


def quantised(operator, **attributes):
    """x, quantised, through one of onnxruntime's operators on integers to `scores`."""
    nodes = [
        node("QuantizeLinear", ["image", "s", "z"], ["q"]),
        node(operator, ["q", "s", "z", "s", "z"], ["r"], domain="com.microsoft", **attributes),
        node("DequantizeLinear", ["r", "s", "z"], ["d"]),
        node("Flatten", ["d"], ["scores"]),
    ]
    constants = {"s": np.float32(0.01), "z": np.uint8(0)}
    graph = helper.make_graph(
        nodes, "q", [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 2, 4, 4])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", None])],
        [onnx.numpy_helper.from_array(np.asarray(a), k) for k, a in constants.items()],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def test_the_opset_of_a_quantised_softmax_does_not_stay():
    model, _ = preparation.normalise(quantised("QLinearSoftmax", axis=-1, opset=13), ["scores"])
    (softmax,) = (n for n in model.graph.node if n.op_type == "Softmax")
    assert [a.name for a in softmax.attribute] == ["axis"]
    with pytest.raises(VivavoceError, match="QLinearSoftmax"):
        preparation.normalise(quantised("QLinearSoftmax", axis=1, opset=11), ["scores"])


@pytest.mark.parametrize("operator", ["QLinearGlobalAveragePool", "QLinearAveragePool"])
def test_channels_that_come_last(operator):
    """The prepared graph scores images as the file does; a score depends on one window of one channel."""
    shape = {"kernel_shape": [2, 2]} if operator == "QLinearAveragePool" else {}
    images, goals = np.random.default_rng(0).random((3, 2, 4, 4), dtype=np.float32), np.array([0, 1, 0])
    gradient = InputGradient(quantised(operator, channels_last=1, **shape), "score", threads=1)
    _, found, scores = gradient(images, goals)
    np.testing.assert_allclose(gradient.graph_scores, scores, atol=0.011)  # one step
    entries = 4 if shape else 8
    expected = np.zeros((3, 2, 4, 4), np.float32)  # rows, columns, channels
    for k, goal in enumerate(goals):
        expected[k, :, : entries // 2, goal] = 1 / entries
    np.testing.assert_allclose(found, expected, rtol=1e-5)
