"""Recurrent layers: unrolled, against onnxruntime's own; their gradients against torch in float64."""

import itertools

import numpy as np
import pytest
import torch
from networks import to_onnx
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn import functional as F

from vivavoce.artifacts.runtime import make_session
from vivavoce.gradient import InputGradient, UnsupportedOperator
from vivavoce.gradient.preparation import shapes
from vivavoce.gradient.preparation.lowering import lower_sized

STEPS, BATCH, INPUTS, HIDDEN = 5, 3, 4, 6
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
FUNCTIONS = {"RNN": 1, "GRU": 2, "LSTM": 3}
DIRECTIONS = ("forward", "reverse", "bidirectional")


def layer(operator, direction, given="", **attributes):
    """A model of one layer; `given` names its optional inputs by their first letters."""
    rng = np.random.default_rng(0)
    both, gates = 1 + (direction == "bidirectional"), GATES[operator]
    shape = {"w": (both, gates * HIDDEN, INPUTS), "r": (both, gates * HIDDEN, HIDDEN),
             "b": (both, 2 * gates * HIDDEN), "h": (both, BATCH, HIDDEN), "c": (both, BATCH, HIDDEN),
             "p": (both, 3 * HIDDEN)}  # fmt: skip
    names = ["x", "w", "r", *(name if name in given else "" for name in "blhcp")]
    held = {k: (rng.standard_normal(shape[k]) / 3).astype(np.float32) for k in shape if k in names}
    if "l" in given:
        held["l"] = np.full(BATCH, attributes.pop("length", STEPS), np.int32)
    outputs = ["y", "state", *(["cell"] if operator == "LSTM" else [])]
    node = helper.make_node(operator, names[: {"LSTM": 8}.get(operator, 6)], outputs, "layer",
                            hidden_size=HIDDEN, direction=direction, **attributes)  # fmt: skip
    graph = helper.make_graph(
        [node], "one", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [STEPS, BATCH, INPUTS])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(a, k) for k, a in held.items()],
    )  # fmt: skip
    return shapes.infer(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8))


def check(model):
    x = np.random.default_rng(1).standard_normal((STEPS, BATCH, INPUTS)).astype(np.float32)
    expected = make_session(model.SerializeToString()).run(None, {"x": x})
    assert lower_sized(model)
    assert not GATES.keys() & {node.op_type for node in model.graph.node}
    for found, exact in zip(
        make_session(model.SerializeToString()).run(None, {"x": x}), expected, strict=True
    ):
        found, exact = np.asarray(found), np.asarray(exact)
        assert found.shape == exact.shape
        np.testing.assert_allclose(found, exact, rtol=0, atol=2e-6 * max(1, np.abs(exact).max()))


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("operator", GATES)
def test_same_as_its_own(operator, direction):
    for given in ("", "b", "h", "bl", "bhc", "blhcp"):
        kept = given if operator == "LSTM" else given.replace("c", "").replace("p", "")
        check(layer(operator, direction, kept))


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_variants(direction):
    check(layer("GRU", direction, "b", linear_before_reset=1))
    check(layer("GRU", direction, "bh", linear_before_reset=1))
    check(layer("LSTM", direction, "bhc", input_forget=1))
    for operator in GATES:
        check(layer(operator, direction, "bh", clip=0.3))


ACTIVATIONS = [("Relu", 0, 0), ("LeakyRelu", 1, 0), ("ThresholdedRelu", 1, 0), ("HardSigmoid", 1, 1),
               ("Elu", 1, 0), ("Softsign", 0, 0), ("Affine", 1, 1), ("ScaledTanh", 1, 1)]  # fmt: skip


@pytest.mark.parametrize(("name", "alpha", "beta"), ACTIVATIONS)
def test_activations(name, alpha, beta):
    for operator, direction in itertools.product(GATES, DIRECTIONS[::2]):
        count = FUNCTIONS[operator] * (1 + (direction == "bidirectional"))
        numbers = {}
        if alpha:
            numbers["activation_alpha"] = (0.3 + 0.1 * np.arange(count)).tolist()
        if beta:
            numbers["activation_beta"] = (0.4 + 0.1 * np.arange(count)).tolist()
        check(layer(operator, direction, "b", activations=[name] * count, **numbers))


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (layer("LSTM", "forward", "l", length=STEPS - 1), "shorter than their 5 steps"),
        (layer("RNN", "forward", activations=["Affine"]), "Affine does not say"),
    ],
    ids=["lengths", "numbers"],
)
def test_refused(model, reason):
    with pytest.raises(UnsupportedOperator, match=f"no gradient through (LSTM|RNN) .*{reason}"):
        lower_sized(model)


class Reader(nn.Module):
    """Reads a picture column by column."""

    def __init__(self, kind, both):
        super().__init__()
        self.layer = getattr(nn, kind)(24, 8, bidirectional=both)
        self.head = nn.Linear(8 * (1 + both), 3)

    def forward(self, image):
        return self.head(self.layer(image.flatten(1, 2).permute(2, 0, 1))[0].mean(0))


@pytest.mark.parametrize("batch", [0, 1])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("kind", GATES)
def test_gradient(kind, both, batch):
    """Exported for any batch size, and for one image."""
    torch.manual_seed(0)
    network, images, goals = Reader(kind, both).eval(), torch.rand(3, 3, 8, 8), np.array([0, 1, 2])
    model = to_onnx(network, size=8, batch=batch or 2, dynamic=not batch)
    _, found, _ = InputGradient(model, "cross-entropy", threads=1)(images.numpy(), goals)
    double = images.double().requires_grad_(True)
    F.cross_entropy(network.double()(double), torch.from_numpy(goals), reduction="sum").backward()
    assert double.grad is not None
    exact = double.grad.numpy()
    assert np.linalg.norm(found - exact) <= 1e-5 * np.linalg.norm(exact)
