import numpy as np
import pytest

torch = pytest.importorskip("torch")
F = torch.nn.functional
rng = np.random.default_rng(8)
blocked = rng.standard_normal((1, 16, 4, 6)).astype(np.float32)
plain = rng.standard_normal((1, 2, 7, 6)).astype(np.float32)


def pool(kernel, strides, pads=(0, 0, 0, 0), **more):
    return {"kernel_shape": kernel, "strides": strides, "pads": pads, **more}


WINDOWS = [
    pool((2, 2), (2, 2)),
    pool((3, 3), (3, 3)),
    pool((3, 3), (2, 2), (1, 1, 1, 1)),
    pool((3, 2), (1, 2), (1, 0, 0, 1)),
    pool((2, 2), (2, 2), ceil_mode=1),
    pool((3, 3), (2, 2), (1, 1, 1, 1), ceil_mode=1),
]
AVERAGES = [*WINDOWS, pool((3, 3), (2, 2), (1, 1, 1, 1), count_include_pad=1)]


@pytest.mark.parametrize("attributes", AVERAGES, ids=str)
@pytest.mark.parametrize("x", [blocked[:, :, :, :], plain], ids=["blocked", "plain"])
def test_average_pool(check_rule, x, attributes):
    check_rule("AveragePool", {"x": x}, attributes, second_opinion=False)


@pytest.mark.parametrize("attributes", [*WINDOWS, pool((2, 2), (1, 1), dilations=[2, 2])], ids=str)
@pytest.mark.parametrize("x", [blocked, plain], ids=["blocked", "plain"])
def test_max_pool(check_rule, x, attributes):
    check_rule("MaxPool", {"x": x}, attributes)


@pytest.mark.parametrize("x", [blocked[:, :, 0], blocked.reshape(1, 4, 4, 4, 6)], ids=["1d", "3d"])
def test_other_dimensions(check_rule, x):
    n = x.ndim - 2
    for operator in ("MaxPool", "AveragePool"):
        check_rule(operator, {"x": x}, {"kernel_shape": [3] * n, "strides": [2] * n}, second_opinion=False)
    check_rule("GlobalAveragePool", {"x": x})


def test_global_max_pool_of_one_dimension(gradients_of):
    x = blocked[:, :, 0]
    weights = np.random.default_rng(7).standard_normal((1, 16, 1)).astype(np.float32)
    found = gradients_of("GlobalMaxPool", {"x": x})["x"]
    np.testing.assert_array_equal(found, np.where(x == x.max(2, keepdims=True), weights, 0))


@pytest.mark.parametrize("x", [blocked, plain], ids=["blocked", "plain"])
def test_global_pools(check_rule, x):
    check_rule("GlobalAveragePool", {"x": x})
    check_rule("GlobalMaxPool", {"x": x})


@pytest.mark.parametrize("p", [1, 2, 3])
def test_lp_pool(check_rule, p):
    def reference(feeds):
        x = torch.from_numpy(feeds["x"]).requires_grad_(True)
        y = F.lp_pool2d(x.abs(), float(p), 3, 2)
        weights = np.random.default_rng(7).standard_normal(tuple(y.shape)).astype(np.float32)
        (y * torch.from_numpy(weights).double()).sum().backward()
        return {"x": x.grad.numpy()}

    check_rule("LpPool", {"x": plain}, {"kernel_shape": [3, 3], "strides": [2, 2], "p": p}, reference)


@pytest.mark.parametrize("p", [1, 2, 3])
def test_global_lp_pool(check_rule, p):
    def reference(feeds):
        x = torch.from_numpy(feeds["x"]).requires_grad_(True)
        y = (x.abs() ** p).sum((2, 3), keepdim=True) ** (1 / p)
        weights = np.random.default_rng(7).standard_normal(tuple(y.shape)).astype(np.float32)
        (y * torch.from_numpy(weights).double()).sum().backward()
        return {"x": x.grad.numpy()}

    check_rule("GlobalLpPool", {"x": plain}, {"p": p}, reference)


@pytest.mark.parametrize(
    "attributes", [pool((2, 2), (2, 2)), pool((3, 3), (2, 2), (1, 1, 1, 1))], ids=["tiles", "overlap"]
)
@pytest.mark.parametrize("channels", [2, 16])
def test_ties_are_not_counted_twice(gradients_of, attributes, channels):
    """A flat image: what leaves each window is what came in, however the window divides it."""
    found = gradients_of("MaxPool", {"x": np.ones((1, channels, 8, 8), np.float32)}, attributes)["x"]
    weights = np.random.default_rng(7).standard_normal((1, channels, 4, 4)).astype(np.float32)
    np.testing.assert_allclose(found.sum(), weights.sum(), rtol=1e-4)
