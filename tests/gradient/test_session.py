"""The whole room on small networks of each family, against torch in float64."""

import functools

import numpy as np
import onnx
import pytest
import torch
from networks import K, network, to_onnx
from onnx.helper import make_node as node
from torch_gradients import Truth, smooth_l1, torch_gradient

from vivavoce.errors import VivavoceError
from vivavoce.gradient import InputGradient, UnsupportedOperator
from vivavoce.gradient.losses import LOSSES
from vivavoce.gradient.torchscript import TorchScriptGradient

TRUTHS: dict[tuple[str, str], Truth] = {}


def truth(name: str, loss: str, batch: tuple[np.ndarray, np.ndarray]) -> Truth:
    if (name, loss) not in TRUTHS:
        TRUTHS[name, loss] = torch_gradient(network(name), loss, *batch)
    return TRUTHS[name, loss]


@functools.cache
def exported(name: str, dynamo: bool, dynamic: bool = True) -> onnx.ModelProto:
    """Exported once; the gradient leaves the model as it is."""
    return to_onnx(network(name), dynamo=dynamo, dynamic=dynamic)


def rivals(loss: str, labels: np.ndarray) -> np.ndarray | None:
    return (labels + 1) % K if LOSSES[loss].rivals else None


FAMILIES = ["resnet", "vgg", "vit", "mobile", "dense"]


def both_exporters(name: str, dynamic: bool):
    """torch's two exporters; the newer one takes seconds, so few families of a fixed batch are quick."""
    rare = [pytest.mark.full] if not dynamic and name not in ("resnet", "vit") else []
    size = "dynamic" if dynamic else "fixed"
    return [
        pytest.param(name, dynamic, False, id=f"{name}-{size}-torchscript"),
        pytest.param(name, dynamic, True, id=f"{name}-{size}-dynamo", marks=rare),
    ]


@pytest.mark.parametrize(
    ("name", "dynamic", "dynamo"),
    [case for name in FAMILIES for dynamic in (True, False) for case in both_exporters(name, dynamic)],
)
def test_cross_entropy(batch, name, dynamo, dynamic):
    model = exported(name, dynamo, dynamic)
    gradient = InputGradient(model, "cross-entropy", threads=2)
    expected = truth(name, "cross-entropy", batch)
    loss, found, scores = gradient(*batch)
    expected.check(found)
    np.testing.assert_allclose(loss, expected.loss, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(scores, expected.scores, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dynamo", [False, True], ids=["torchscript", "dynamo"])
@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_label_model(batch, loss, dynamo):
    expected = truth("label", loss, batch)
    model = exported("label", dynamo)
    images, labels = batch
    value, found, scores = InputGradient(model, loss, threads=2)(images, labels, rivals(loss, labels))
    expected.check(found)
    np.testing.assert_allclose(value, expected.loss, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(scores, expected.scores, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_the_torchscript_twin_has_the_same_losses(batch, loss):
    module = network("label")

    class Contract(torch.nn.Module):
        def forward(self, image):
            scores, label = module(image)
            rows = [smooth_l1(module, (scores, label), torch.full((len(image),), k)) for k in range(K)]
            return scores, label, torch.stack(rows, 1)

    found = TorchScriptGradient(Contract(), loss)(*batch, rivals(loss, batch[1]))  # type: ignore[arg-type]
    expected = truth("label", loss, batch)
    expected.check(found[1])
    np.testing.assert_allclose(found[0], expected.loss, rtol=1e-4, atol=1e-5)


def test_losses_between_two_classes_ask_for_the_other(batch):
    with pytest.raises(VivavoceError, match="between two classes; give `rivals`"):
        InputGradient(to_onnx(network("resnet")), "difference")(*batch)
    with pytest.raises(VivavoceError, match="`margin` takes no rivals; `difference` compares two"):
        InputGradient(to_onnx(network("resnet")), "margin")(*batch, rivals=batch[1])


@pytest.mark.parametrize("count", [1, 5, 9])
def test_batches_of_any_size_agree(batch, count):
    images, goals = batch
    gradient = InputGradient(to_onnx(network("resnet")), "cross-entropy")
    whole = gradient(images, goals)
    part = gradient(images[:count], goals[:count])
    for a, b in zip(whole, part, strict=True):
        assert len(b) == count
        np.testing.assert_allclose(a[:count], b, rtol=1e-3, atol=1e-5 * np.abs(a).max())


def test_a_sure_model_still_has_a_gradient(graph_of):
    """Cross-entropy with a gap of 60 between the scores: 1 - softmax is zero in float32."""
    weight = np.zeros((3, 2), np.float32)
    weight[:, 1] = 20
    nodes = [node("Flatten", ["image"], ["f"]), node("MatMul", ["f", "w"], ["scores"])]
    gradient = InputGradient(graph_of(nodes, {"w": weight}, ["N", 3, 1, 1], 2), "cross-entropy")
    _, found, scores = gradient(np.ones((1, 3, 1, 1), np.float32), np.array([1]))
    assert scores[0, 1] - scores[0, 0] == 60
    np.testing.assert_allclose(found.ravel(), -20 * np.exp(-60.0), rtol=1e-5)


def test_an_operator_without_a_rule_is_named(graph_of):
    nodes = [
        node("Flatten", ["image"], ["f"]),
        node("Det", ["image"], ["e"], name="the_determinant"),
        node("Unsqueeze", ["e", "one"], ["d"]),
        node("Mul", ["f", "d"], ["scores"]),
    ]
    model = graph_of(nodes, {"one": np.array([1])}, ["N", 3, 3], 9)
    with pytest.raises(UnsupportedOperator, match=r"Det \(node `the_determinant`\): there is no") as caught:
        InputGradient(model, "cross-entropy")
    assert (caught.value.operator, caught.value.node) == ("Det", "the_determinant")


def test_a_gradient_cut_off_by_choices_is_no_silent_zero(graph_of):
    nodes = [
        node("Flatten", ["image"], ["f"]),
        node("ArgMax", ["f"], ["a"], axis=1, keepdims=1, name="choice"),
        node("Cast", ["a"], ["c"], to=1),
        node("Mul", ["c", "w"], ["scores"]),
    ]
    model = graph_of(nodes, {"w": np.ones((1, 10), np.float32)}, ["N", 3, 2, 2])
    with pytest.raises(UnsupportedOperator, match=r"ArgMax \(node `choice`\)"):
        InputGradient(model, "cross-entropy")


def test_wrong_names_are_told():
    model = to_onnx(network("resnet"))
    with pytest.raises(VivavoceError, match=r"no loss 'mse'.*cross-entropy"):
        InputGradient(model, "mse")
    with pytest.raises(VivavoceError, match=r"no input `x`.*image"):
        InputGradient(model, "cross-entropy", image="x")
    with pytest.raises(VivavoceError, match=r"no output `label`.*scores"):
        InputGradient(model, "smooth-l1")
