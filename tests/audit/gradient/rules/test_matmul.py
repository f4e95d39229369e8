import numpy as np
import pytest

rng = np.random.default_rng(3)


def normal(*shape):
    return rng.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(
    ("a", "b"),
    [((3, 4), (4, 2)), ((2, 3, 4), (4, 2)), ((3, 4), (2, 4, 2)), ((2, 1, 3, 4), (5, 4, 2)), ((4,), (4, 2)),
     ((3, 4), (4,)), ((4,), (4,)), ((2, 3, 4), (4,)), ((4,), (2, 4, 3))],
)  # fmt: skip
def test_matmul(check_rule, a, b):
    check_rule("MatMul", {"xa": normal(*a), "xb": normal(*b)})
    check_rule("MatMul", {"xa": normal(*a), "b": normal(*b)})


@pytest.mark.parametrize("c", [None, (3, 2), (2,), (3, 1), ()])
@pytest.mark.parametrize(("left", "right"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_gemm(check_rule, left, right, c):
    a, b = normal(*((4, 3) if left else (3, 4))), normal(*((2, 4) if right else (4, 2)))
    third = {} if c is None else {"xc": normal(*c)}
    attributes = {"transA": left, "transB": right, "alpha": 0.7, "beta": 1.3}
    check_rule("Gemm", {"xa": a, "xb": b, **third}, attributes)
