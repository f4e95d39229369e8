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
