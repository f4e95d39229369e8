"""Files of ai.onnx.ml's classifiers, made by hand as exporters write them."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from vivavoce.artifacts import open_model
from vivavoce.artifacts.runtime import make_session

ML = "ai.onnx.ml"
rng = np.random.default_rng(0)
X = rng.random((6, 1, 2, 2), dtype=np.float32)


def saved(path: Path, nodes, outputs, constants=(), standard=True) -> Path:
    """A file with the input `x` [N, 4]."""
    opsets = [helper.make_opsetid(ML, 3), *([helper.make_opsetid("", 17)] if standard else [])]
    graph = helper.make_graph(
        nodes,
        "classical",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 4])],
        outputs,
        [numpy_helper.from_array(np.asarray(a), name) for name, a in constants],
    )
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def linear(labels: dict, transform: str = "NONE", rows: int = 3) -> onnx.NodeProto:
    weights = np.random.default_rng(1).standard_normal(rows * 4).tolist()
    return helper.make_node(
        "LinearClassifier", ["x"], ["label", "raw"], domain=ML, coefficients=weights,
        intercepts=[0.1 * k for k in range(rows)], post_transform=transform, **labels,
    )  # fmt: skip


def label_of(kind: int = TensorProto.STRING) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info("label", kind, [None])


def zipped(key: int = TensorProto.STRING) -> onnx.ValueInfoProto:
    kind = helper.make_map_type_proto(key, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    return helper.make_value_info("probabilities", helper.make_sequence_type_proto(kind))


def decisions(path: Path, output: str = "label") -> list:
    session = make_session(path.read_bytes())
    return np.asarray(session.run([output], {"x": X.reshape(6, 4)})[0]).tolist()


def test_a_zipmap_is_read_through(tmp_path):
    names = ["ant", "bee", "cat"]
    nodes = [
        linear({"classlabels_strings": names}, "SOFTMAX"),
        helper.make_node("Normalizer", ["raw"], ["p"], domain=ML, norm="L1"),
        helper.make_node("ZipMap", ["p"], ["probabilities"], domain=ML, classlabels_strings=names),
    ]
    path = saved(tmp_path / "m.onnx", nodes, [label_of(), zipped()])
    model = open_model(path)
    scores = model.answer(X).scores
    assert model.manifest.classes == tuple(names)
    assert model.named
    assert [names[k] for k in scores.argmax(1)] == decisions(path)
    # Neither the softmax nor the division by its sum is left between the logits and the scores.
    weights = np.random.default_rng(1).standard_normal((3, 4)).astype(np.float32)
    np.testing.assert_allclose(scores, X.reshape(6, 4) @ weights.T + [0, 0.1, 0.2], rtol=1e-5, atol=1e-6)


def test_sigmoids_divided_by_their_sum_keep_the_order(tmp_path):
    nodes = [
        linear({"classlabels_ints": [0, 1, 2]}, "LOGISTIC"),
        helper.make_node("Normalizer", ["raw"], ["p"], domain=ML, norm="L1"),
    ]
    outputs = [label_of(TensorProto.INT64), helper.make_tensor_value_info("p", TensorProto.FLOAT, [None, 3])]
    path = saved(tmp_path / "m.onnx", nodes, outputs)
    model = open_model(path)
    assert model.answer(X).scores.argmax(1).tolist() == decisions(path)
    assert not model.named


def test_only_labels(tmp_path):
    """Scores whose largest is looked up in a list of names, and nothing else."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["s"]),
        helper.make_node("ArgMax", ["s"], ["k"], axis=1, keepdims=0),
        helper.make_node(
            "LabelEncoder", ["k"], ["label"], domain=ML,
            keys_int64s=[2, 0, 1], values_strings=["cat", "ant", "bee"],
        ),
    ]  # fmt: skip
    weights = rng.standard_normal((4, 3)).astype(np.float32)
    path = saved(tmp_path / "m.onnx", nodes, [label_of()], [("w", weights)])
    expected, model = decisions(path), open_model(path)
    assert model.manifest.classes == ("ant", "bee", "cat")
    assert [model.manifest.classes[k] for k in model.answer(X).scores.argmax(1)] == expected


def test_labels_picked_from_an_array(tmp_path):
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["s"]),
        helper.make_node("ArgMax", ["s"], ["k"], axis=1),
        helper.make_node("ArrayFeatureExtractor", ["names", "k"], ["picked"], domain=ML),
        helper.make_node("Reshape", ["picked", "flat"], ["label"]),
    ]
    constants = [
        ("w", rng.standard_normal((4, 3)).astype(np.float32)),
        ("flat", np.array([-1])),
        ("names", np.array(["ant", "bee", "cat"], object)),
    ]
    scores = helper.make_tensor_value_info("s", TensorProto.FLOAT, [None, 3])
    path = saved(tmp_path / "m.onnx", nodes, [label_of(), scores], constants)
    assert open_model(path).manifest.classes == ("ant", "bee", "cat")


@pytest.mark.parametrize("more", [{}, {"prob_a": [-1.3], "prob_b": [0.2]}], ids=["plain", "probabilities"])
def test_support_vectors_of_two_classes_decide_as_their_label(tmp_path, more):
    vectors = rng.random(5 * 4).astype(np.float32)
    node = helper.make_node(
        "SVMClassifier", ["x"], ["label", "s"], domain=ML, classlabels_ints=[0, 1], kernel_type="RBF",
        kernel_params=[0.8, 0.0, 3.0], support_vectors=vectors.tolist(), vectors_per_class=[2, 3],
        coefficients=[1.0, 0.5, -0.9, -0.2, -0.4], rho=[0.02], **more,
    )  # fmt: skip
    outputs = [label_of(TensorProto.INT64), helper.make_tensor_value_info("s", TensorProto.FLOAT, [None, 2])]
    path = saved(tmp_path / "m.onnx", [node], outputs, standard=False)
    scores = open_model(path).answer(X).scores
    if more:
        given = np.array(decisions(path, "s"))
        assert scores.argmax(1).tolist() == given.argmax(1).tolist()
        np.testing.assert_allclose(1 / (1 + np.exp(scores[:, 0] - scores[:, 1])), given[:, 1], atol=5e-3)
    else:
        assert scores.argmax(1).tolist() == decisions(path)
    assert len(set(scores.argmax(1).tolist())) == 2


def test_two_rows_that_are_declared_as_one(tmp_path):
    """skl2onnx declares one score for a LinearSVC of two classes, and gives two."""
    weights = rng.standard_normal((2, 4)).astype(np.float32)
    node = helper.make_node(
        "LinearClassifier", ["x"], ["label", "s"], domain=ML, classlabels_ints=[0, 1],
        coefficients=weights.reshape(-1).tolist(), intercepts=[0.1, -0.1], post_transform="NONE",
    )  # fmt: skip
    outputs = [label_of(TensorProto.INT64), helper.make_tensor_value_info("s", TensorProto.FLOAT, [None, 1])]
    path = saved(tmp_path / "m.onnx", [node], outputs, standard=False)
    expected = X.reshape(len(X), -1) @ weights.T + np.array([0.1, -0.1], np.float32)
    np.testing.assert_allclose(open_model(path).answer(X).scores, expected, atol=1e-5)
