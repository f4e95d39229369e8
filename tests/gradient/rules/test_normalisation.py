import numpy as np
import pytest

rng = np.random.default_rng(9)


def normal(*shape):
    return rng.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(2, 16, 3, 3), (2, 3, 4), (3, 5)], ids=str)
def test_batch_normalization(check_rule, shape):
    c = shape[1]
    statistics = {"s": normal(c), "b": normal(c), "m": normal(c), "v": normal(c) ** 2 + 0.1}
    check_rule("BatchNormalization", {"x": normal(*shape), **statistics}, {"epsilon": 1e-3})


@pytest.mark.parametrize("axis", [-1, 1])
def test_layer_normalization(check_rule, axis):
    x = normal(2, 3, 8)
    inputs = {"x": x, "s": normal(*x.shape[axis:]), "b": normal(*x.shape[axis:])}
    check_rule("LayerNormalization", inputs, {"axis": axis, "epsilon": 1e-3})


@pytest.mark.parametrize("shape", [(2, 4, 3, 3), (2, 3, 8)], ids=str)
def test_instance_normalization(check_rule, shape):
    inputs = {"x": normal(*shape), "s": normal(shape[1]), "b": normal(shape[1])}
    check_rule("InstanceNormalization", inputs, {"epsilon": 1e-3}, second_opinion=False)


@pytest.mark.parametrize("opset", [18, 21])
def test_group_normalization(check_rule, opset):
    size = 2 if opset == 18 else 4
    inputs = {"x": normal(2, 4, 3, 2), "s": normal(size), "b": normal(size)}
    coarse = 2e-2 if opset == 21 else 2e-5  # the reference computes in float32 there
    check_rule(
        "GroupNormalization", inputs, {"num_groups": 2}, None, coarse, opset=opset, second_opinion=False
    )


def test_rms_normalization(check_rule):
    check_rule("RMSNormalization", {"x": normal(2, 3, 4), "s": normal(4)}, {"epsilon": 1e-3}, opset=23)
    check_rule("RMSNormalization", {"x": normal(2, 3, 4), "s": normal(3, 4)}, {"axis": 1}, opset=23)


@pytest.mark.parametrize("size", [1, 3, 4])
def test_local_response_normalization(check_rule, size):
    attributes = {"size": size, "alpha": 0.5, "beta": 0.6, "bias": 1.2}
    check_rule("LRN", {"x": normal(5, 5, 1, 2)}, attributes, second_opinion=False)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("axis", [1, -1])
def test_lp_normalization(check_rule, p, axis):
    weights = np.random.default_rng(7).standard_normal((2, 3, 4)).astype(np.float32)

    def reference(feeds):
        x = feeds["x"]
        norm = np.linalg.norm(x, p, axis, keepdims=True)
        slope = x / norm if p == 2 else np.sign(x)
        return {"x": (weights - slope * (weights * x).sum(axis, keepdims=True) / norm) / norm}

    check_rule("LpNormalization", {"x": normal(2, 3, 4)}, {"p": p, "axis": axis}, reference)
