"""Operators that onnxruntime's optimiser writes, against onnxruntime's own."""

import numpy as np
import pytest

from vivavoce.artifacts.runtime import make_session
from vivavoce.gradient import UnsupportedOperator
from vivavoce.gradient.preparation.lowering import lower

from .conftest import single

MS = "com.microsoft"
rng = np.random.default_rng(5)


def noise(*shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


x, image = noise(2, 3, 8), noise(2, 4, 5, 5)
W, B = noise(8, 6), noise(6)
KERNEL = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
NBITS = {"K": 8, "N": 6, "bits": 4, "block_size": 16}


BYTES = rng.integers(0, 256, (6, 1, 8), np.uint8)
ZEROS = rng.integers(0, 16, 6).astype(np.uint8)
SKIP = noise(2, 3, 8)
SEQUENCE = noise(2, 5, 8)
RELU = KERNEL | {"activation": "Relu"}
CLIP = KERNEL | {"activation": "Clip", "activation_params": [-0.5, 0.7]}
HARD = KERNEL | {"group": 2, "activation": "HardSigmoid", "activation_params": [0.3, 0.4]}
LEAKY = {"transB": 1, "alpha": 0.5, "activation": "LeakyRelu", "activation_alpha": 0.2}
INTEGERS = [
    rng.integers(0, 256, (8, 6)).astype(np.uint8),
    np.array([0.02], np.float32),
    np.array([120], np.uint8),
]

CASES: list[tuple[str, list, dict]] = [
    ("Gelu", [x], {}),
    ("BiasGelu", [x, noise(8)], {}),
    ("FastGelu", [x], {}),
    ("FastGelu", [x, noise(8)], {}),
    ("QuickGelu", [x], {"alpha": 1.3}),
    ("FusedGemm", [x[0], W, B], {"activation": "Relu"}),
    ("FusedGemm", [x[0], W.T.copy(), B], LEAKY),
    ("FusedMatMul", [x, W], {"alpha": 0.7}),
    ("FusedMatMul", [x, W.T.copy()], {"transB": 1}),
    ("FusedMatMul", [x.transpose(0, 2, 1).copy(), W], {"transA": 1, "alpha": 2.0}),
    ("SkipLayerNormalization", [x, SKIP, noise(8), noise(8), noise(8)], {"epsilon": 1e-5}),
    ("SkipLayerNormalization", [x, SKIP, noise(8)], {}),
    ("SkipSimplifiedLayerNormalization", [x, SKIP, noise(8)], {"epsilon": 1e-5}),
    ("FusedConv", [image, noise(8, 4, 3, 3), noise(8)], RELU),
    ("FusedConv", [image, noise(8, 4, 3, 3), noise(8), noise(2, 8, 5, 5)], RELU),
    ("FusedConv", [image, noise(8, 4, 3, 3)], CLIP),
    ("FusedConv", [image, noise(8, 2, 3, 3)], HARD),
    ("MatMulNBits", [x, BYTES, np.abs(B)], NBITS),
    ("MatMulNBits", [x, BYTES, np.abs(B), ZEROS, None, B], NBITS),
    ("MultiHeadAttention", [x, SEQUENCE, SEQUENCE], {"num_heads": 2}),
    ("MultiHeadAttention", [x, SEQUENCE, SEQUENCE, noise(24)], {"num_heads": 2, "scale": 0.3}),
    ("Attention", [x, noise(8, 24), noise(24)], {"num_heads": 2}),
    ("DynamicQuantizeMatMul", [x, *INTEGERS, B], {}),
]


@pytest.mark.parametrize(
    ("operator", "inputs", "attributes"), CASES, ids=[f"{k}-{c[0]}" for k, c in enumerate(CASES)]
)
def test_same_as_its_own(check_lowering, operator, inputs, attributes):
    check_lowering(operator, MS, inputs, attributes)


def test_channels_last(check_lowering):
    """NhwcFusedConv has no float32 kernel on CPUs; it is FusedConv between two transpositions."""
    attributes = KERNEL | {"activation": "Relu"}
    weight, bias = noise(8, 4, 3, 3), noise(8)
    rows = image.transpose(0, 2, 3, 1).copy()
    model, plain = (
        single("NhwcFusedConv", MS, [rows, weight, bias], attributes),
        single("FusedConv", MS, [image, weight, bias], attributes),
    )
    lower(model)
    found = np.asarray(make_session(model.SerializeToString()).run(["y"], {"x": rows})[0])
    expected = np.asarray(make_session(plain.SerializeToString()).run(["y"], {"x": image})[0])
    np.testing.assert_allclose(found, expected.transpose(0, 2, 3, 1), atol=1e-5)


@pytest.mark.parametrize(
    ("operator", "domain", "inputs", "attributes"),
    [
        ("Conv", "com.microsoft.nchwc", [image, noise(8, 4, 3, 3)], KERNEL),
        ("FusedMatMul", MS, [x, W], {"transBatchA": 1}),
        ("FusedConv", MS, [image, noise(8, 4, 3, 3)], KERNEL | {"activation": "Unheard"}),
        ("Attention", MS, [x, noise(8, 24), noise(24), np.array([3, 2], np.int32)], {"num_heads": 2}),
        ("Attention", MS, [x, noise(8, 24), noise(24)], {"num_heads": 2, "unidirectional": 1}),
        ("MultiHeadAttention", MS, [x], {"num_heads": 2}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_has_no_equal_says_which_file_to_audit(operator, domain, inputs, attributes):
    with pytest.raises(UnsupportedOperator, match="audit the file from before the optimisation"):
        lower(single(operator, domain, inputs, attributes))
