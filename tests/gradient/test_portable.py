"""The gradient as a file: what is in it, and that every runtime computes the same with it."""

import functools
import itertools

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from networks import K, network, to_onnx
from node import run_in_node
from onnx import TensorProto, helper
from onnx.helper import make_node as node
from onnx.reference import ReferenceEvaluator
from torch_gradients import Truth, torch_gradient

from vivavoce.errors import VivavoceError
from vivavoce.gradient import InputGradient, UnsupportedOperator, gradient_file, inner_values

LIMIT = 1e-4
"""Largest relative error of an image's gradient."""
CASES = {
    "resnet": "difference",
    "label": "smooth-l1",
    "vgg": "probability",
    "vit": "score",
    "mobile": "margin",
    "dense": "cross-entropy",
}
SMALL = ["mobilenet_v3_small", "shufflenet_v2_x0_5", "squeezenet1_1"]
"""Of torchvision's families, those that take a second at 64 pixels; `test_torchvision.py` has the others."""


def run(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, map(np.asarray, session.run(names, feeds)), strict=True))


def feeds_of(images: np.ndarray, goals: np.ndarray, loss: str) -> dict[str, np.ndarray]:
    rival = {"rival": (goals + 1) % K} if loss == "difference" else {}
    return {"image": images, "class": goals, **rival}


def check(found: dict[str, np.ndarray], truth: Truth) -> None:
    assert truth.error_of(found["gradient"]).max() < LIMIT
    np.testing.assert_allclose(found["loss"], truth.loss, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["scores"], truth.scores, rtol=1e-4, atol=1e-4)


@functools.cache
def exported(name: str) -> tuple[onnx.ModelProto, dict[str, np.ndarray], Truth]:
    """The file of a case, two images and classes for it, and the truth."""
    loss, rng = CASES[name], np.random.default_rng(0)
    images, goals = rng.random((2, 3, 32, 32), dtype=np.float32), rng.integers(0, K, 2)
    model = gradient_file(InputGradient(to_onnx(network(name)), loss))
    return model, feeds_of(images, goals, loss), torch_gradient(network(name), loss, images, goals)


@pytest.mark.parametrize("runtime", ["onnxruntime", "reference"])
@pytest.mark.parametrize("name", CASES)
def test_the_file_computes_the_gradient(name, runtime):
    model, feeds, truth = exported(name)
    onnx.checker.check_model(model, full_check=True)
    assert {n.domain for n in model.graph.node} <= {"", "ai.onnx"}
    assert [o.domain for o in model.opset_import] == [""]
    assert [v.name for v in model.graph.input] == list(feeds)
    if runtime == "onnxruntime":
        check(run(model, feeds), truth)
    else:
        results = map(np.asarray, ReferenceEvaluator(model).run(None, feeds))
        check(dict(zip(["scores", "loss", "gradient"], results, strict=True)), truth)


@pytest.mark.parametrize("name", CASES)
def test_one_file_takes_any_batch(name, batch):
    model, loss = exported(name)[0], CASES[name]
    images, goals = batch
    whole = run(model, feeds_of(images, goals, loss))
    for rows in (slice(0, 1), slice(3, 8)):
        part = run(model, feeds_of(images[rows], goals[rows], loss))
        for output, values in part.items():
            np.testing.assert_allclose(values, whole[output][rows], rtol=1e-3, atol=1e-6)


def test_onnxruntime_web_runs_the_files(tmp_path):
    names = ["vit", "mobile"]
    for name, found in run_in_node(tmp_path, {name: exported(name)[:2] for name in names}).items():
        check(found, exported(name)[2])


@pytest.mark.parametrize("name", SMALL)
def test_torchvision(name):
    models = pytest.importorskip("torchvision").models
    torch.manual_seed(0)
    module = getattr(models, name)(weights=None, num_classes=K).eval().requires_grad_(False)
    rng = np.random.default_rng(0)
    images, goals = rng.random((2, 3, 64, 64), dtype=np.float32), rng.integers(0, K, 2)
    truth = torch_gradient(module, "cross-entropy", images, goals)
    model = gradient_file(InputGradient(to_onnx(module, size=64), "cross-entropy"))
    check(run(model, feeds_of(images, goals, "cross-entropy")), truth)


def test_with_respect_to_a_value_inside(batch):
    images, goals = batch[0][:3], batch[1][:3]
    model = to_onnx(network("resnet"))
    of = [v.name for v in inner_values(model) if v.operator == "Conv"][-1]
    gradient = InputGradient(model, "score", of=of)
    found = run(gradient_file(gradient), {"image": images, "class": goals})
    expected = gradient.evaluate(images, goals)
    assert list(found) == ["scores", "loss", "gradient", "value"]
    for name, values in found.items():
        np.testing.assert_allclose(values, getattr(expected, name), rtol=1e-3, atol=1e-5)


def test_the_fast_layout_computes_the_same(batch):
    images, goals = batch[0][:4], batch[1][:4]
    gradient = InputGradient(to_onnx(network("resnet")), "margin")
    fast = gradient_file(gradient, batch=4, layout="ort-cpu")
    assert "FusedConv" in {n.op_type for n in fast.graph.node}
    plain = gradient_file(gradient, batch=4)
    assert [d.dim_value for d in plain.graph.input[0].type.tensor_type.shape.dim] == [4, 3, 32, 32]
    ours, theirs = (run(m, {"image": images, "class": goals}) for m in (fast, plain))
    np.testing.assert_allclose(ours["gradient"], theirs["gradient"], rtol=1e-3, atol=1e-6)


def test_a_model_of_one_batch_size(batch):
    """The file has that size, or another, where the model can be widened."""
    images, goals = batch[0][:4], batch[1][:4]
    gradient = InputGradient(to_onnx(network("resnet"), dynamic=False), "cross-entropy")
    truth = torch_gradient(network("resnet"), "cross-entropy", images, goals).gradient
    for count, size in ((2, None), (4, 4)):
        model = gradient_file(gradient, batch=size)
        found = run(model, {"image": images[:count], "class": goals[:count]})["gradient"]
        assert np.linalg.norm(found - truth[:count]) < LIMIT * np.linalg.norm(truth)


def mixing(size: int | str, operator: str) -> onnx.ModelProto:
    """Scores of an image that depend on the others of its batch."""
    nodes = {
        "ReduceMax": [node("ReduceMax", ["image", "zero"], ["common"], keepdims=1)],
        "ReduceMean": [node("ReduceMean", ["image", "zero"], ["common"], keepdims=1)],
        "pairs": [  # [N, N] numbers in one row
            node("Transpose", ["image"], ["across"]),
            node("MatMul", ["image", "across"], ["products"]),
            node("Reshape", ["products", "flat"], ["row"]),
            node("ReduceSum", ["row"], ["common"], keepdims=1),
        ],
    }
    graph = helper.make_graph(
        [
            *nodes[operator],
            node("Sub", ["image", "common"], ["centred"]),
            node("Mul", ["centred", "centred"], ["scores"]),
        ],
        "mixing",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [size, 3])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [size, 3])],
        [
            onnx.numpy_helper.from_array(np.array(array), name)
            for name, array in (("zero", [0]), ("flat", [1, -1]))
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


@pytest.mark.parametrize(
    ("operator", "reason"), [("ReduceMean", "a constant depends"), ("pairs", "not grow in proportion")]
)
def test_some_models_need_a_batch_size(operator, reason):
    gradient = InputGradient(mixing("N", operator), "score")
    with pytest.raises(VivavoceError, match=f"no form for every batch size .*{reason}.*--batch 8"):
        gradient_file(gradient)
    assert gradient_file(gradient, batch=2).graph.output
    with pytest.raises(VivavoceError, match=r"exported for batches of 2.*give --batch 2"):
        gradient_file(InputGradient(mixing(2, operator), "score"), batch=6)


def test_images_that_depend_on_each_other():
    image = np.random.default_rng(0).random((4, 3), dtype=np.float32)
    gradient = InputGradient(mixing("N", "ReduceMax"), "score")
    found = run(gradient_file(gradient), {"image": image, "class": np.array([0, 1, 2, 0])})
    np.testing.assert_allclose(found["gradient"], gradient(image, np.array([0, 1, 2, 0]))[1], rtol=1e-5)


def test_names_that_the_file_needs_are_given_way(graph_of):
    """Values of the model with the names of the file's inputs and outputs."""
    names = ["loss", "gradient", "class", "rival", "value", "scores"]
    chain = itertools.pairwise(["image", *names[:-1], "logits"])
    nodes = [node("Tanh", [a], [b]) for a, b in chain]
    nodes += [node("Flatten", ["logits"], ["scores"]), node("Mul", ["scores", "two"], ["result"])]
    model = graph_of(nodes, {"two": np.array([2], np.float32)}, ["N", 3, 1, 1], 3)
    model.graph.output[0].name = "result"
    image = np.array([0.1, -0.2, 0.3], np.float32).reshape(1, 3, 1, 1)
    feeds = {"image": image, "class": np.array([2]), "rival": np.array([0])}
    made = gradient_file(InputGradient(model, "difference", scores="result"))
    found = run(made, feeds)
    value, gradient, scores = InputGradient(model, "difference", scores="result")(*feeds.values())
    for name, expected in (("loss", value), ("gradient", gradient), ("scores", scores)):
        np.testing.assert_allclose(found[name], expected, rtol=1e-5)
    entry = to_onnx(network("resnet"))
    renamed = gradient_file(InputGradient(_renamed(entry, "class"), "score"))
    assert [v.name for v in renamed.graph.input] == ["class_own", "class"]


def _renamed(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """The model with another name of its input."""
    for part in model.graph.node:
        part.input[:] = [name if k == "image" else k for k in part.input]
    model.graph.input[0].name = name
    return model


def test_operators_outside_the_standard_are_refused(graph_of):
    """One that has no gradient, but that the gradient of a value behind it does not need."""
    nodes = [
        node("Inverse", ["image"], ["inverse"], name="inverting", domain="com.microsoft"),
        node("Tanh", ["inverse"], ["tanh"]),
        node("Flatten", ["tanh"], ["scores"]),
    ]
    model = graph_of(nodes, {}, ["N", 1, 2, 2], 4, domain="com.microsoft")
    with pytest.raises(UnsupportedOperator, match=r"Inverse \(node `inverting`\): there is no rule"):
        gradient_file(InputGradient(model, "score"))
    behind = InputGradient(model, "score", of="tanh")
    with pytest.raises(UnsupportedOperator, match="not in the ONNX standard"):
        gradient_file(behind)
    image = np.array([[[[2, 0], [0, 4]]]], np.float32)
    found = run(gradient_file(behind, layout="ort-cpu"), {"image": image, "class": np.array([3])})
    assert found["gradient"].ravel().tolist() == [0, 0, 0, 1]
    np.testing.assert_allclose(found["value"].ravel(), np.tanh([0.5, 0, 0, 0.25]), rtol=1e-6)
