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


@pytest.mark.parametrize(
    ("equation", "a", "b"),
    [("ij,jk->ik", (2, 3), (3, 4)), ("bij,bkj->bik", (2, 3, 4), (2, 5, 4)), ("...ij,jk", (2, 3, 4), (4, 2)),
     ("ij,jk->k", (2, 3), (3, 4)), ("bhij,bhjd->bihd", (2, 2, 3, 3), (2, 2, 3, 2)), ("i,j->ij", (2,), (3,))],
)  # fmt: skip
def test_einsum(check_rule, equation, a, b):
    inputs = {"xa": normal(*a), "xb": normal(*b)}
    check_rule("Einsum", inputs, {"equation": equation}, second_opinion=False)


def test_einsum_of_one_factor(check_rule):
    check_rule("Einsum", {"x": normal(2, 3, 4)}, {"equation": "ijk->ki"}, second_opinion=False)
