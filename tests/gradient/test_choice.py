"""One graph and one session for all losses of a model."""

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx.helper import make_node as node

from vivavoce.artifacts import runtime
from vivavoce.errors import VivavoceError
from vivavoce.gradient import InputGradient, session
from vivavoce.gradient.losses import LOSSES

N, K, D = 3, 5, 6
RNG = np.random.default_rng(0)
WEIGHT = RNG.normal(size=(4, D)).astype(np.float32)
BANK = RNG.normal(size=(K, D)).astype(np.float32)
IMAGES = RNG.random((N, 1, 2, 2), dtype=np.float32)
GOALS, RIVALS = np.array([0, 3, 4]), np.array([1, 2, 0])


def label_model(classes: int = K):
    """label = tanh(image W); scores = 2 label bank' - |bank|^2, which fall with the distance to each row."""
    bank = BANK[:classes]
    tensors = {
        "w": WEIGHT,
        "label_bank": bank,
        "rows": np.ascontiguousarray(2 * bank.T),
        "lengths": (bank**2).sum(1),
    }
    nodes = [
        node("Flatten", ["image"], ["f"]),
        node("MatMul", ["f", "w"], ["m"]),
        node("Tanh", ["m"], ["label"]),
        node("MatMul", ["label", "rows"], ["products"]),
        node("Sub", ["products", "lengths"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "labels",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, 2, 2])],
        [
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", classes]),
            helper.make_tensor_value_info("label", TensorProto.FLOAT, ["N", D]),
        ],
        [
            helper.make_tensor(k, TensorProto.FLOAT, v.shape, v.tobytes(), raw=True)
            for k, v in tensors.items()
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def by_hand(name: str, images: np.ndarray) -> np.ndarray:
    """Each image's loss in float64, from the formulas of the publications."""
    label = np.tanh(images.reshape(N, -1) @ WEIGHT.astype(np.float64))
    bank = BANK.astype(np.float64)
    if name == "smooth-l1":
        apart = np.abs(label - bank[GOALS])
        return np.where(apart < 1, apart**2 / 2, apart - 0.5).mean(1)
    z, rows = 2 * label @ bank.T - (bank**2).sum(1), np.arange(N)
    own, others, order = z[rows, GOALS], z.copy(), -np.sort(-z, 1)
    others[rows, GOALS] = -np.inf
    surest = np.exp(own) / np.exp(z).sum(1)
    gap = z[rows, RIVALS] - own
    lead = np.exp(others.max(1)) / np.exp(z).sum(1) - surest
    return {
        "cross-entropy": -np.log(surest),
        "log-odds": np.log(np.exp(others).sum(1)) - own,
        "margin": others.max(1) - own,
        "probability-margin": np.log((1 + lead) / (1 - lead)),
        "score": own,
        "contrast": own - z.mean(1),
        "probability": surest,
        "dlr": (others.max(1) - own) / (order[:, 0] - order[:, 2]),
        "difference": gap,
        "targeted-dlr": gap / (order[:, 0] - order[:, 2:4].mean(1)),
    }[name]


@pytest.fixture(scope="module")
def shared() -> InputGradient:
    return InputGradient(label_model(), "margin", also=tuple(LOSSES), threads=1)


def rivals(name: str) -> np.ndarray | None:
    return RIVALS if LOSSES[name].rivals else None


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_of_the_shared_graph_is_that_of_a_graph_of_its_own(shared, name):
    value, found, scores = shared(IMAGES, GOALS, rivals(name), loss=name)
    alone = InputGradient(label_model(), name, threads=1)(IMAGES, GOALS, rivals(name))
    for one, other in zip((value, found, scores), alone, strict=True):
        assert np.array_equal(one, other)
    wide, step = IMAGES.astype(np.float64), 1e-5
    np.testing.assert_allclose(value, by_hand(name, wide), rtol=1e-5, atol=1e-6)
    expected = np.empty(wide.shape)
    for place in np.ndindex(*wide.shape[1:]):
        moved = np.zeros(wide.shape[1:])
        moved[place] = step
        expected[(slice(None), *place)] = (by_hand(name, wide + moved) - by_hand(name, wide - moved)) / (
            2 * step
        )
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())


def test_one_session_serves_all_losses(monkeypatch):
    made = []
    make = runtime.make_session
    monkeypatch.setattr(session, "make_session", lambda *a, **k: made.append(a) or make(*a, **k))
    gradient = InputGradient(label_model(), "cross-entropy", also=tuple(LOSSES), threads=1)
    assert gradient.losses == ("cross-entropy", *(name for name in LOSSES if name != "cross-entropy"))
    for name in LOSSES:
        gradient(IMAGES, GOALS, rivals(name), loss=name)
    assert len(made) == 1


def test_a_loss_that_overflows_does_not_reach_the_others():
    """Where the largest three scores are equal, the ratio of logits divides by 1e-12; the margin does not."""
    images = np.zeros((N, 1, 2, 2), np.float32)
    model = label_model()
    for tensor in model.graph.initializer:
        if tensor.name == "lengths":
            tensor.raw_data = np.zeros(K, np.float32).tobytes()
    gradient = InputGradient(model, "dlr", also=("margin", "score"), threads=1)
    score = gradient(images, GOALS, loss="score")[1]
    expected = (2 * BANK[GOALS] @ WEIGHT.T).reshape(images.shape)  # the slope of tanh at 0 is 1
    np.testing.assert_allclose(score, expected, rtol=1e-5)


def test_losses_that_a_model_cannot_have():
    two = InputGradient(label_model(2), "margin", also=tuple(LOSSES), threads=1)
    goals = np.array([0, 1, 1])
    assert np.isfinite(two(IMAGES, goals, loss="cross-entropy")[1]).all()
    with pytest.raises(VivavoceError, match=r"`dlr` needs at least 3 classes; the output `scores` has 2"):
        two(IMAGES, goals, loss="dlr")
    only = InputGradient(label_model(), "margin", threads=1)
    with pytest.raises(VivavoceError, match=r"has the losses margin, and not `score`"):
        only(IMAGES, GOALS, loss="score")
