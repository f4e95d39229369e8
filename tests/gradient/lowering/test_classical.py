"""Operators of ai.onnx.ml against onnxruntime's own."""

import numpy as np
import pytest

from vivavoce.gradient import UnsupportedOperator

from .conftest import single

ML = "ai.onnx.ml"
rng = np.random.default_rng(3)
x = rng.standard_normal((5, 4)).astype(np.float32)
W = rng.standard_normal(12).astype(np.float32).tolist()
THREE, TWO = [0, 1, 2], [0, 1]


@pytest.mark.parametrize("value", [x, x.astype(np.float64), np.round(x * 5).astype(np.int64)], ids=str)
def test_scaler(check_lowering, value):
    check_lowering("Scaler", ML, [value], {"offset": W[:4], "scale": W[4:8]})
    check_lowering("Scaler", ML, [value], {"offset": W[:1], "scale": W[1:2]})


@pytest.mark.parametrize("norm", ["MAX", "L1", "L2"])
def test_normalizer(check_lowering, norm):
    check_lowering("Normalizer", ML, [np.abs(x)], {"norm": norm})
    check_lowering("Normalizer", ML, [np.vstack([x, 0 * x[:1]]) + (norm == "MAX") * 3], {"norm": norm})


@pytest.mark.parametrize("transform", ["NONE", "LOGISTIC", "SOFTMAX"])
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_linear_classifier(check_lowering, transform, rows):
    labels = THREE if rows == 3 else TWO
    check_lowering(
        "LinearClassifier", ML, [x],
        {"coefficients": W[: 4 * rows], "intercepts": W[:rows], "classlabels_ints": labels,
         "post_transform": transform},
        output=1,
    )  # fmt: skip


@pytest.mark.parametrize("transform", ["NONE", "LOGISTIC", "SOFTMAX"])
def test_linear_regressor(check_lowering, transform):
    check_lowering(
        "LinearRegressor", ML, [x],
        {"coefficients": W, "intercepts": W[:3], "targets": 3, "post_transform": transform},
    )  # fmt: skip


@pytest.mark.parametrize("kernel", ["LINEAR", "RBF", "POLY", "SIGMOID"])
@pytest.mark.parametrize("counts", [[2, 3], [2, 1, 2], [1, 2, 1, 1]], ids=len)
@pytest.mark.parametrize("transform", ["NONE", "LOGISTIC"])
def test_support_vectors(check_lowering, kernel, counts, transform):
    classes = len(counts)
    numbers = np.random.default_rng(classes)
    check_lowering(
        "SVMClassifier", ML, [np.abs(x)],
        {"support_vectors": numbers.random(20).tolist(), "vectors_per_class": counts,
         "coefficients": numbers.standard_normal(5 * (classes - 1)).tolist(),
         "rho": numbers.standard_normal(classes * (classes - 1) // 2).tolist(),
         "kernel_type": kernel, "kernel_params": [0.3, 0.2, 3.0], "classlabels_ints": list(range(classes)),
         "post_transform": transform},
        output=1,
    )  # fmt: skip


def test_linear_machine(check_lowering):
    check_lowering(
        "SVMClassifier",
        ML,
        [x],
        {"coefficients": W, "rho": [0.2], "classlabels_ints": THREE, "kernel_params": [0.0, 0.0, 3.0]},
        output=1,
    )


@pytest.mark.parametrize("count", [0, 3])
def test_support_vector_regressor(check_lowering, count):
    vectors = {"n_supports": count, "support_vectors": W, "kernel_type": "RBF", "kernel_params": [0.3, 0, 3]}
    more = vectors if count else {"kernel_type": "LINEAR", "kernel_params": [0.0, 0.0, 3.0]}
    check_lowering("SVMRegressor", ML, [x], {"coefficients": W[: count or 4], "rho": [0.3], **more})


@pytest.mark.parametrize("indices", [[2], [3, 0, 0]], ids=len)
def test_picked_columns(check_lowering, indices):
    check_lowering("ArrayFeatureExtractor", ML, [x, np.array(indices)], {})


@pytest.mark.parametrize("missing", [np.nan, 7.0])
def test_imputer(check_lowering, missing):
    holed = np.where(np.arange(20).reshape(5, 4) % 3 == 0, np.float32(missing), x)
    check_lowering(
        "Imputer", ML, [holed], {"imputed_value_floats": W[:4], "replaced_value_float": float(missing)}
    )


@pytest.mark.parametrize(
    ("operator", "attributes", "message"),
    [
        ("SVMClassifier", {"prob_a": [1.0], "prob_b": [0.0]}, "probability=False"),
        ("LinearClassifier", {"post_transform": "PROBIT"}, "PROBIT"),
    ],
)
def test_what_has_no_equal_names_the_way_forward(operator, attributes, message):
    from vivavoce.gradient.preparation.lowering import lower

    own = (
        {"support_vectors": W[:8], "vectors_per_class": [1, 1], "coefficients": W[:2], "rho": [0.1]}
        if operator == "SVMClassifier"
        else {"coefficients": W[:8], "intercepts": W[:2]}
    )
    model = single(operator, ML, [x], {**own, "classlabels_ints": TWO, **attributes}, 1)
    with pytest.raises(UnsupportedOperator, match=message):
        lower(model)
