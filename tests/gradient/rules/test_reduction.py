import numpy as np
import pytest

rng = np.random.default_rng(4)
x = rng.standard_normal((2, 3, 4)).astype(np.float32)
OPERATORS = ["Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "SumSquare", "LogSum", "LogSumExp"]


@pytest.mark.parametrize("axes", [None, [1], [-1, 0], [0, 1, 2]], ids=str)
@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("operator", OPERATORS)
def test_reduction(check_rule, operator, keepdims, axes):
    value = np.abs(x) + 0.1 if operator == "LogSum" else x
    axes_input = {} if axes is None else {"axes": np.array(axes, np.int64)}
    check_rule(f"Reduce{operator}", {"x": value, **axes_input}, {"keepdims": keepdims})


def test_no_axes_may_mean_none(check_rule):
    inputs = {"x": x, "axes": np.array([], np.int64)}
    check_rule("ReduceSum", inputs, {"noop_with_empty_axes": 1}, second_opinion=False)


@pytest.mark.parametrize("zeros", [1, 2])
def test_product_with_zeros(check_rule, zeros):
    value = x.copy()
    value[0, :zeros, 0] = 0
    inputs = {"x": value, "axes": np.array([1], np.int64)}
    check_rule("ReduceProd", inputs, second_opinion=False)


def test_ties_share_the_gradient(gradients_of):
    ones = np.ones((2, 4), np.float32)
    axes = np.array([1], np.int64)
    whole = gradients_of("ReduceSum", {"x": ones, "axes": axes})["x"]
    np.testing.assert_allclose(gradients_of("ReduceMax", {"x": ones, "axes": axes})["x"], whole / 4)


def test_norm_of_zero_has_no_gradient(gradients_of):
    assert not gradients_of("ReduceL2", {"x": np.zeros((2, 3), np.float32)})["x"].any()
