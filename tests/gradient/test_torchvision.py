"""Torchvision's families at 224 pixels, by both exporters, with open and fixed batch."""

from unittest import mock

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from networks import to_onnx
from torch_gradients import Truth, torch_gradient

from vivavoce.gradient import InputGradient, gradient_file

pytestmark = pytest.mark.full
models = pytest.importorskip("torchvision").models
NAMES = [
    "resnet50",
    "efficientnet_b0",
    "densenet121",
    "mobilenet_v3_small",
    "vit_b_16",
    "convnext_tiny",
    "swin_t",
]


def build(name: str) -> torch.nn.Module:
    """Random weights, with batch statistics that were really gathered."""
    torch.manual_seed(0)
    torch.backends.mha.set_fastpath_enabled(False)  # the older exporter does not know its operator
    module = getattr(models, name)(weights=None, num_classes=10)
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.momentum = None  # the plain mean
    module.eval()
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.train()
        if isinstance(part, torch.nn.Linear) and not part.weight.any():
            torch.nn.init.normal_(part.weight, std=0.02)  # a head of zeros has no gradient
    with torch.no_grad():
        module(torch.rand(4, 3, 224, 224))
    return module.eval().requires_grad_(False)


@pytest.fixture(scope="module", params=NAMES)
def case(request) -> tuple[torch.nn.Module, np.ndarray, np.ndarray, Truth]:
    module = build(request.param)
    rng = np.random.default_rng(0)
    images, goals = rng.random((4, 3, 224, 224), dtype=np.float32), rng.integers(0, 10, 4)
    return module, images, goals, torch_gradient(module, "cross-entropy", images, goals)


@pytest.mark.parametrize("dynamic", [True, False], ids=["dynamic", "fixed"])
@pytest.mark.parametrize("dynamo", [False, True], ids=["torchscript", "dynamo"])
def test_the_gradient_is_as_good_as_that_of_torch(case, dynamo, dynamic):
    module, images, goals, truth = case
    model = to_onnx(module, dynamo=dynamo, dynamic=dynamic, size=224)
    _, gradient, _ = InputGradient(model, "cross-entropy", threads=2)(images, goals)
    error = truth.error_of(gradient)
    print(f"median {np.median(error):.1e}, torch float32 {np.median(truth.error):.1e}", end=" ")
    assert np.median(error) <= 2 * np.median(truth.error)
    assert error.max() <= 2 * truth.error.max()


def test_the_file_of_the_gradient(case):
    """An ordinary ONNX file for any batch size, run by onnxruntime."""
    module, images, goals, truth = case
    model = gradient_file(InputGradient(to_onnx(module, size=224), "cross-entropy", threads=2))
    assert {node.domain for node in model.graph.node} == {""}
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (gradient,) = session.run(["gradient"], {"image": images, "class": goals})
    error = truth.error_of(np.asarray(gradient))
    print(f"largest {error.max():.1e}, torch float32 {truth.error.max():.1e}", end=" ")
    assert error.max() < max(1e-4, 2 * truth.error.max())


@pytest.mark.parametrize("name", ["resnet50", "densenet121"])
def test_the_error_of_deep_networks_is_that_of_flipped_relus(name):
    """In float32 a few values round to the other side of a ReLU's kink, where the gradient jumps.

    Where torch takes the same sides in float64, the gradients agree.
    """
    module = build(name)
    rng = np.random.default_rng(0)
    images, goals = rng.random((2, 3, 224, 224), dtype=np.float32), rng.integers(0, 10, 2)
    model = gradient_file(InputGradient(to_onnx(module, size=224), "cross-entropy", threads=2))
    relus = [node.output[0] for node in model.graph.node if node.op_type == "Relu"]
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(value) for value in relus)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found = session.run(["gradient", *relus], {"image": images, "class": goals})
    gradient, *values = map(np.asarray, found)
    sides = iter([torch.from_numpy(value > 0) for value in values])
    flipped = []

    def relu(x, inplace=False):
        side = next(sides)
        flipped.append(int(((x > 0) != side).sum()))
        return x * side

    x = torch.from_numpy(images).double().requires_grad_()
    with mock.patch("torch.nn.functional.relu", relu):
        scores = module.double()(x)
    torch.nn.functional.cross_entropy(scores, torch.from_numpy(goals), reduction="sum").backward()
    assert x.grad is not None
    assert next(sides, None) is None
    exact = x.grad.numpy()
    error = np.linalg.norm(gradient - exact) / np.linalg.norm(exact)
    total = sum(value.size for value in values)
    print(f"{sum(flipped)} of {total} flipped, else off by {error:.1e}", end=" ")
    assert error < 1e-5
    assert sum(flipped) < 1e-5 * total
