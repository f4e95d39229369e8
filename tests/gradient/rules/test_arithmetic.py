import numpy as np
import pytest

rng = np.random.default_rng(0)


def signed(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def positive(*shape):
    return (rng.random(shape) + 0.5).astype(np.float32)


def unit(*shape):
    return (rng.random(shape) * 1.6 - 0.8).astype(np.float32)


BINARY = [
    ("Add", signed(2, 3, 4), signed(3, 1)),
    ("Sub", signed(2, 1, 4), signed(3, 4)),
    ("Mul", signed(2, 3, 4), signed(4)),
    ("Div", signed(2, 3, 1), positive(2, 1, 4)),
    ("Pow", positive(2, 3), signed(2, 3)),
    ("Max", signed(2, 3), signed(3)),
    ("Min", signed(2, 3), signed(2, 1)),
    ("Sum", signed(2, 3), signed(2, 1)),
    ("Mean", signed(2, 3), signed(3)),
]


@pytest.mark.parametrize(("operator", "a", "b"), BINARY, ids=[row[0] for row in BINARY])
def test_both_inputs(check_rule, operator, a, b):
    check_rule(operator, {"xa": a, "xb": b})


@pytest.mark.parametrize(("operator", "a", "b"), BINARY, ids=[row[0] for row in BINARY])
def test_one_input_constant(check_rule, operator, a, b):
    check_rule(operator, {"xa": a, "b": b})
    check_rule(operator, {"a": a, "xb": b})


@pytest.mark.parametrize("exponent", [2.0, 1.0, 0.5, -1.0, 3.0])
def test_pow_of_a_number(check_rule, exponent):
    check_rule("Pow", {"x": positive(2, 3), "p": np.array(exponent, np.float32)})


def test_pow_of_an_integer(check_rule):
    check_rule("Pow", {"x": signed(2, 3), "p": np.array(3, np.int64)}, second_opinion=False)


def test_three_inputs(check_rule):
    for operator in ("Sum", "Mean", "Max", "Min"):
        check_rule(operator, {"xa": signed(2, 3), "xb": signed(3), "xc": signed(2, 1)})


def test_where(check_rule):
    check_rule("Where", {"c": rng.random((2, 3)) > 0.5, "xa": signed(2, 3), "xb": signed(3)})


UNARY = [
    *[(name, signed(2, 5)) for name in ["Neg", "Abs", "Exp", "Sin", "Cos", "Atan", "Sinh", "Cosh", "Asinh"]],
    *[(name, positive(2, 5)) for name in ["Log", "Sqrt", "Reciprocal"]],
    *[(name, unit(2, 5)) for name in ["Tan", "Asin", "Acos", "Atanh"]],
    ("Acosh", positive(2, 5) + 1),
]


@pytest.mark.parametrize(("operator", "x"), UNARY, ids=[row[0] for row in UNARY])
def test_one_input(check_rule, operator, x):
    check_rule(operator, {"x": x})


def test_erf(check_rule):
    x = signed(2, 5)
    weights = np.random.default_rng(7).standard_normal(x.shape).astype(np.float32)

    def reference(feeds):  # onnx's own evaluation is in float32, too coarse for differences
        return {"x": weights * 2 / np.sqrt(np.pi) * np.exp(-(feeds["x"] ** 2))}

    check_rule("Erf", {"x": x}, None, reference)


def test_ties_share_the_gradient(gradients_of):
    x = np.ones((2, 3), np.float32)
    found = gradients_of("Max", {"xa": x, "xb": x})
    np.testing.assert_allclose(found["xa"], found["xb"])
