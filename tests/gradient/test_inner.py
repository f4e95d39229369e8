"""Gradients with respect to values inside a model, against torch in float64."""

import numpy as np
import onnx
import pytest
import torch
from networks import network, to_onnx
from onnx import helper
from onnx.helper import make_node as node
from torch_gradients import TORCH_LOSSES

from vivavoce.errors import VivavoceError
from vivavoce.gradient import InputGradient, inner_values


def truth(module, part, loss, images, goals):
    """The value that `part` of a module makes, and the loss's gradient with respect to it, in float64."""
    held = []

    def keep(module, inputs, output):
        output.requires_grad_(True)
        held.append(output)

    module.double()
    hook = part.register_forward_hook(keep)
    outputs = module(torch.from_numpy(images).double())
    hook.remove()
    losses = TORCH_LOSSES[loss](module, outputs, torch.from_numpy(goals))
    (gradient,) = torch.autograd.grad(losses.sum(), held[-1])
    module.float()
    return held[-1].detach().numpy(), gradient.numpy()


def close(found, exact, tolerance=1e-4):
    assert found.shape == exact.shape
    assert np.linalg.norm(found - exact) <= tolerance * np.linalg.norm(exact)


@pytest.mark.parametrize("dynamic", [True, False], ids=["dynamic", "fixed"])
@pytest.mark.parametrize("loss", ["score", "contrast", "probability", "margin"])
def test_of_a_convolution_inside(batch, loss, dynamic):
    module, (images, goals) = network("resnet"), (batch[0][:5], batch[1][:5])
    model = to_onnx(module, dynamic=dynamic)
    convolutions = [v.name for v in inner_values(model) if v.operator == "Conv"]
    found = InputGradient(model, loss, of=convolutions[3]).evaluate(images, goals)
    value, gradient = truth(module, module.get_submodule("0.4.body.1"), loss, images, goals)
    close(found.value, value)
    close(found.gradient, gradient)


def test_of_a_convolution_before_a_normalisation(graph_of):
    """Preparation would fold the two into one."""
    rng = np.random.default_rng(0)
    arrays = {name: rng.random(2).astype(np.float32) + 0.5 for name in ("scale", "shift", "mean", "variance")}
    arrays["weight"] = rng.normal(size=(2, 3, 1, 1)).astype(np.float32)
    nodes = [
        node("Conv", ["image", "weight"], ["convolved"]),
        node("BatchNormalization", ["convolved", "scale", "shift", "mean", "variance"], ["normal"]),
        node("Flatten", ["normal"], ["scores"]),
    ]
    image = rng.random((1, 3, 1, 1)).astype(np.float32)
    model = graph_of(nodes, arrays, ["N", 3, 1, 1], 2)
    found = InputGradient(model, "score", of="convolved").evaluate(image, np.array([1]))
    convolved = arrays["weight"][:, :, 0, 0] @ image[0, :, 0, 0]
    close(found.value, convolved.reshape(1, 2, 1, 1))
    slope = arrays["scale"] / np.sqrt(arrays["variance"] + 1e-5)
    np.testing.assert_allclose(found.gradient.ravel(), [0, slope[1]], rtol=1e-5)


def test_smooth_l1_of_a_value_inside(batch):
    module, (images, goals) = network("label"), (batch[0][:3], batch[1][:3])
    model = to_onnx(module)
    name = next(v.name for v in inner_values(model) if v.operator == "AveragePool")
    found = InputGradient(model, "smooth-l1", of=name).evaluate(images, goals)
    value, gradient = truth(module, module.get_submodule("encoder.6"), "smooth-l1", images, goals)
    close(found.value, value)
    close(found.gradient, gradient)


def test_values_between_input_and_scores_have_their_shape(batch):
    images, goals = batch[0][:2], batch[1][:2]
    model = to_onnx(network("vgg"))
    for value in inner_values(model)[::4]:
        found = InputGradient(model, "score", of=value.name).evaluate(images, goals)
        assert found.value is not None
        assert found.gradient.shape == found.value.shape == (2, *value.shape[1:])


def test_of_one_of_two_equal_values(graph_of):
    """Simplification would join them, and the gradient would be that of both."""
    nodes = [
        node("Relu", ["image"], ["a"]),
        node("Relu", ["image"], ["b"]),
        node("Identity", ["b"], ["c"]),
        node("Mul", ["a", "three"], ["d"]),
        node("Add", ["c", "d"], ["e"]),
        node("Flatten", ["e"], ["scores"]),
    ]
    model = graph_of(nodes, {"three": np.array([3], np.float32)}, ["N", 2, 1, 1], 2)
    image = np.array([[[[2]], [[5]]]], np.float32)
    for name, slope in (("a", 3), ("b", 1), ("c", 1), ("image", 4)):
        gradient = InputGradient(model, "score", of=name)(image, np.array([1]))[1]
        assert gradient.ravel().tolist() == [0, slope], name


def test_of_a_value_behind_integers():
    """A model of tokens has no gradient with respect to its input, but one with respect to embeddings."""
    rng = np.random.default_rng(0)
    table, head = rng.normal(size=(9, 4)).astype(np.float32), rng.normal(size=(4, 3)).astype(np.float32)
    nodes = [
        node("Gather", ["table", "tokens"], ["embedded"]),
        node("Tanh", ["embedded"], ["t"]),
        node("ReduceMean", ["t", "axes"], ["m"], keepdims=0),
        node("MatMul", ["m", "head"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tokens",
        [helper.make_tensor_value_info("tokens", onnx.TensorProto.INT64, ["N", 5])],
        [helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, ["N", 3])],
        [
            onnx.numpy_helper.from_array(array, name)
            for name, array in (("table", table), ("head", head), ("axes", np.array([1])))
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    tokens, goals = rng.integers(0, 9, (2, 5)), np.array([2, 0])
    found = InputGradient(model, "score", image="tokens", of="embedded").evaluate(tokens, goals)
    np.testing.assert_array_equal(found.value, table[tokens])
    exact = (1 - np.tanh(table[tokens]) ** 2) / 5 * head.T[goals][:, None]
    np.testing.assert_allclose(found.gradient, exact, rtol=1e-5)
    with pytest.raises(VivavoceError, match="`tokens` holds int64; a gradient needs floats"):
        InputGradient(model, "score", image="tokens")


@pytest.fixture
def branches(graph_of):
    """Scores and values that they do not depend on, do not depend on smoothly, or that are no floats."""
    nodes = [
        node("Flatten", ["image"], ["flat"]),
        node("Relu", ["flat"], ["dead_end"]),
        node("ArgMax", ["flat"], ["choice"], axis=1, keepdims=1),
        node("Cast", ["choice"], ["chosen"], to=1),
        node("Mul", ["weight", "weight"], ["squared"]),
        node("Mul", ["flat", "squared"], ["scaled"]),
        node("Add", ["scaled", "chosen"], ["scores"]),
    ]
    return graph_of(nodes, {"weight": np.array([1, 2, 3], np.float32)}, ["N", 3, 1, 1], 3)


@pytest.mark.parametrize(
    ("of", "message"),
    [
        ("scale", "no value `scale`; did you mean scaled"),
        ("dead_end", "does not depend on `dead_end`"),
        ("choice", "`choice` holds int64"),
        ("weight", "`weight` is a constant"),
        ("squared", "`squared` is a constant"),
        ("a\nb", r"no value `a\\nb`; its last ones are"),
    ],
)
def test_values_without_a_gradient_are_refused(branches, of, message):
    with pytest.raises(VivavoceError, match=message):
        InputGradient(branches, "score", of=of)
    gradient = InputGradient(branches, "score", of="scaled")
    assert gradient(np.ones((1, 3, 1, 1)), np.array([1]))[1].tolist() == [[0, 1, 0]]


def test_a_model_without_labels_has_no_smooth_l1():
    with pytest.raises(VivavoceError, match="predicts labels"):
        InputGradient(to_onnx(network("resnet")), "smooth-l1")
