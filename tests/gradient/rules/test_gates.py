"""Activations written as a product with a function of the same value, and gates of one number per channel."""

import numpy as np
import pytest
import torch
from onnx.helper import make_node as node

from vivavoce.gradient import InputGradient

rng = np.random.default_rng(3)
CHANNELS = {"blocked": 16, "plain": 6}
ROOT = np.float32(np.sqrt(2))


def erf_nodes(u: list, half_first: bool = False, one_first: bool = False) -> list:
    first = "half_x" if half_first else "x"
    last = [] if half_first else [node("Mul", ["product", "half"], ["y"])]
    return [
        *([node("Mul", ["x", "half"], ["half_x"])] if half_first else []), *u, node("Erf", ["u"], ["erf"]),
        node("Add", ["one", "erf"] if one_first else ["erf", "one"], ["gate"]),
        node("Mul", ["gate", first] if one_first else [first, "gate"], ["y" if half_first else "product"]),
        *last,
    ]  # fmt: skip


DIVIDED, MULTIPLIED = [node("Div", ["x", "root"], ["u"])], [node("Mul", ["inverse", "x"], ["u"])]
ACTIVATIONS = {
    "silu": ([node("Sigmoid", ["x"], ["s"]), node("Mul", ["x", "s"], ["y"])], torch.nn.functional.silu),
    "quick-gelu": (
        [node("Mul", ["x", "steep"], ["u"]), node("Sigmoid", ["u"], ["s"]), node("Mul", ["s", "x"], ["y"])],
        lambda x: x * torch.sigmoid(1.702 * x),
    ),
    "scaled-outside": (
        [node("Mul", ["x", "steep"], ["v"]), node("Sigmoid", ["x"], ["s"]), node("Mul", ["v", "s"], ["y"])],
        lambda x: 1.702 * x * torch.sigmoid(x),
    ),
    "gelu-divided": (erf_nodes(DIVIDED), torch.nn.functional.gelu),
    "gelu-multiplied": (erf_nodes(MULTIPLIED, one_first=True), torch.nn.functional.gelu),
    "gelu-half-first": (erf_nodes(DIVIDED, half_first=True), torch.nn.functional.gelu),
    "hard-swish": (
        [node("HardSigmoid", ["x"], ["h"], alpha=1 / 6), node("Mul", ["x", "h"], ["y"])],
        torch.nn.functional.hardswish,
    ),
    "hard-swish-of-a-multiple": (
        [node("Mul", ["x", "steep"], ["u"]), node("HardSigmoid", ["u"], ["h"], alpha=0.25),
         node("Mul", ["x", "h"], ["y"])],
        lambda x: x * (1.702 * x / 4 + 0.5).clamp(0, 1),
    ),
    "off-centre": (
        [node("HardSigmoid", ["x"], ["h"], alpha=0.25, beta=0.4), node("Mul", ["x", "h"], ["y"])],
        lambda x: x * (x / 4 + 0.4).clamp(0, 1),
    ),
    "not-of-itself": (
        [node("Relu", ["x"], ["r"]), node("Sigmoid", ["r"], ["s"]), node("Mul", ["x", "s"], ["y"])],
        lambda x: x * torch.sigmoid(torch.relu(x)),
    ),
    "shared": (
        [node("Sigmoid", ["x"], ["s"]), node("Mul", ["x", "s"], ["m"]), node("Add", ["m", "s"], ["y"])],
        lambda x: x * torch.sigmoid(x) + torch.sigmoid(x),
    ),
    "squared": (
        [node("Sigmoid", ["x"], ["s"]), node("Mul", ["x", "x"], ["q"]), node("Mul", ["q", "s"], ["y"])],
        lambda x: x * x * torch.sigmoid(x),
    ),
}  # fmt: skip
NUMBERS = {"half": 0.5, "one": 1.0, "root": ROOT, "inverse": 1 / ROOT, "steep": 1.702}


def compared(model, function, image, goals):
    """Our gradient of each image's score, and torch's in float64."""
    x = torch.from_numpy(image).double().requires_grad_(True)
    scores = function(x)
    scores[torch.arange(len(image)), torch.from_numpy(goals)].sum().backward()
    assert x.grad is not None
    found = InputGradient(model, "score")(image, goals)
    np.testing.assert_allclose(found[2], scores.detach().numpy(), rtol=1e-4, atol=1e-5)
    return found[1], x.grad.numpy()


@pytest.mark.parametrize("width", CHANNELS)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_of_several_nodes(graph_of, name, width):
    nodes, function = ACTIVATIONS[name]
    n = CHANNELS[width]
    before, after = (rng.standard_normal((n, n, 1, 1)).astype(np.float32) for _ in range(2))
    nodes = [
        node("Conv", ["image", "before"], ["x"]), *nodes, node("Conv", ["y", "after"], ["z"]),
        node("GlobalAveragePool", ["z"], ["mean"]), node("Flatten", ["mean"], ["scores"]),
    ]  # fmt: skip
    used = {i for made in nodes for i in made.input}
    constants = {k: np.array(v, np.float32) for k, v in NUMBERS.items() if k in used}
    model = graph_of(nodes, constants | {"before": before, "after": after}, [2, n, 3, 3], n)
    image = rng.standard_normal((2, n, 3, 3)).astype(np.float32)

    def reference(x):
        first, last = (torch.from_numpy(w).double() for w in (before, after))
        made = torch.nn.functional.conv2d(function(torch.nn.functional.conv2d(x, first)), last)
        return made.mean((2, 3))

    found, exact = compared(model, reference, image, np.array([1, 4]))
    assert np.abs(found - exact).max() <= 2e-6 * np.abs(exact).max()


@pytest.mark.parametrize("width", CHANNELS)
@pytest.mark.parametrize("gate_first", [True, False])
def test_squeeze_and_excitation(graph_of, width, gate_first):
    """The product of a value [N, C, H, W] with a gate [N, C, 1, 1] computed from it."""
    n = CHANNELS[width]
    weights = [rng.standard_normal((n, n, 1, 1)).astype(np.float32) for _ in range(3)]
    nodes = [
        node("Conv", ["image", "w0"], ["c"]), node("Relu", ["c"], ["x"]),
        node("GlobalAveragePool", ["x"], ["p"]), node("Conv", ["p", "w1"], ["q"]),
        node("Sigmoid", ["q"], ["gate"]), node("Mul", ["gate", "x"] if gate_first else ["x", "gate"], ["y"]),
        node("Conv", ["y", "w2"], ["z"]), node("GlobalAveragePool", ["z"], ["m"]),
        node("Flatten", ["m"], ["scores"]),
    ]  # fmt: skip
    model = graph_of(nodes, {f"w{k}": w for k, w in enumerate(weights)}, [2, n, 4, 3], n)
    image = rng.standard_normal((2, n, 4, 3)).astype(np.float32)

    def reference(x):
        a, b, c = (torch.from_numpy(w).double() for w in weights)
        value = torch.relu(torch.nn.functional.conv2d(x, a))
        gate = torch.sigmoid(torch.nn.functional.conv2d(value.mean((2, 3), keepdim=True), b))
        return torch.nn.functional.conv2d(value * gate, c).mean((2, 3))

    found, exact = compared(model, reference, image, np.array([0, 2]))
    assert np.abs(found - exact).max() <= 2e-6 * np.abs(exact).max()


def test_products_of_matrices_are_transposed_by_their_factors(graph_of):
    """As the keys of attention: scores q k^T, where k^T is a transposed view of all heads."""
    nodes = [
        node("Reshape", ["image", "heads"], ["h"]), node("Transpose", ["h"], ["q"], perm=[0, 2, 1, 3]),
        node("Transpose", ["h"], ["k"], perm=[0, 2, 3, 1]), node("MatMul", ["q", "k"], ["a"]),
        node("Softmax", ["a"], ["s"], axis=-1), node("MatMul", ["s", "q"], ["v"]),
        node("ReduceSum", ["v", "axes"], ["scores"], keepdims=0),
    ]  # fmt: skip
    constants = {"heads": np.array([0, 5, 2, 4]), "axes": np.array([1, 2])}
    image = rng.standard_normal((3, 5, 8)).astype(np.float32)

    def reference(x):
        q = x.reshape(3, 5, 2, 4).transpose(1, 2)
        return (torch.softmax(q @ q.mT, -1) @ q).sum((1, 2))

    found, exact = compared(graph_of(nodes, constants, [3, 5, 8], 4), reference, image, np.array([0, 1, 3]))
    assert np.abs(found - exact).max() <= 2e-6 * np.abs(exact).max()
