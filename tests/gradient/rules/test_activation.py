import numpy as np
import pytest

from vivavoce.gradient import UnsupportedOperator

rng = np.random.default_rng(1)
x = (rng.standard_normal((1, 16, 2, 2)) * 2).astype(np.float32)
flat = x[:, :3, 0]

CASES = [
    ("Relu", {}, 18),
    ("LeakyRelu", {"alpha": 0.2}, 18),
    ("LeakyRelu", {"alpha": 1.5}, 18),
    ("LeakyRelu", {"alpha": -0.5}, 18),
    ("ThresholdedRelu", {"alpha": 0.7}, 18),
    ("Elu", {"alpha": 0.7}, 18),
    ("Selu", {}, 18),
    ("Celu", {"alpha": 1.3}, 18),
    ("Sigmoid", {}, 18),
    ("HardSigmoid", {"alpha": 0.3, "beta": 0.4}, 18),
    ("HardSwish", {}, 18),
    ("Swish", {"alpha": 1.2}, 24),
    ("Mish", {}, 18),
    ("Tanh", {}, 18),
    ("Softplus", {}, 18),
    ("Softsign", {}, 18),
    ("Softmax", {"axis": 1}, 18),
    ("Softmax", {"axis": -1}, 18),
    ("LogSoftmax", {"axis": 1}, 18),
    ("LogSoftmax", {}, 18),
]
IDS = [f"{operator}-{'-'.join(map(str, attributes.values()))}" for operator, attributes, _ in CASES]


@pytest.mark.parametrize(("operator", "attributes", "opset"), CASES, ids=IDS)
@pytest.mark.parametrize("value", [x, flat], ids=["blocked", "plain"])
def test_one_input(check_rule, operator, attributes, opset, value):
    check_rule(operator, {"x": value}, attributes, opset=opset)


@pytest.mark.parametrize("approximate", ["none", "tanh"])
@pytest.mark.parametrize("value", [x, flat], ids=["blocked", "plain"])
def test_gelu(check_rule, value, approximate):
    torch = pytest.importorskip("torch")

    def reference(feeds):
        t = torch.from_numpy(feeds["x"]).requires_grad_(True)
        y = torch.nn.functional.gelu(t, approximate=approximate)
        weights = np.random.default_rng(7).standard_normal(value.shape).astype(np.float32)
        (y * torch.from_numpy(weights).double()).sum().backward()
        return {"x": t.grad.numpy()}

    check_rule("Gelu", {"x": value}, {"approximate": approximate}, reference, opset=20)


def test_prelu(check_rule):
    check_rule("PRelu", {"x": flat, "xs": rng.random((3, 1)).astype(np.float32)})


@pytest.mark.parametrize("bounds", [(-0.5, 0.5), (None, 0.5), (-0.5, None), (None, None)])
def test_clip(check_rule, bounds):
    low, high = (None if b is None else np.array(b, np.float32) for b in bounds)
    check_rule("Clip", {"x": flat, "low": low, "high": high})


def test_clip_passes_the_gradient_at_its_bounds(gradients_of):
    edge = np.array([[0.0, 1.0]], np.float32)
    inputs = {"x": edge, "low": np.float32(0), "high": np.float32(1)}
    assert np.all(gradients_of("Clip", {k: np.asarray(v) for k, v in inputs.items()})["x"] != 0)


def test_relu_stops_the_gradient_at_zero(gradients_of):
    for shape in ((1, 16, 1, 1), (1, 16)):
        assert not gradients_of("Relu", {"x": np.zeros(shape, np.float32)})["x"].any()


@pytest.mark.parametrize("operator", ["Sign", "Floor", "Ceil", "Round"])
def test_step_functions_are_refused_unless_estimated(gradients_of, operator):
    with pytest.raises(UnsupportedOperator, match=rf"{operator} \(node `node`\).*step function"):
        gradients_of(operator, {"x": flat})
    assert gradients_of(operator, {"x": flat}, straight_through=True)["x"].any()


def test_the_estimate_of_a_sign_is_as_wide_as_its_input_is_large(gradients_of):
    """However large x is, no entry's gradient vanishes; a comparison has half of it."""
    dy = gradients_of("Floor", {"x": flat}, straight_through=True)["x"]
    slope = 1 / (1 + np.abs(flat) / np.abs(flat).mean((1, 2), keepdims=True)) ** 2
    for scale in (1e-3, 1e3):
        found = gradients_of("Sign", {"x": scale * flat}, straight_through=True)["x"]
        np.testing.assert_allclose(found, dy * slope, rtol=1e-4)
