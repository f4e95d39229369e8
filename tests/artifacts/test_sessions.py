"""Sessions whose weights come from a file."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.helper import make_node as node

from vivavoce.artifacts import sessions
from vivavoce.artifacts.runtime import make_session
from vivavoce.artifacts.sessions import session_of, without_weights, write_apart

RNG = np.random.default_rng(0)


@pytest.fixture
def model() -> onnx.ModelProto:
    """Two large weights, one of them without raw data, and a small one that is a shape."""
    large, plain = RNG.normal(size=(2, 64, 64)).astype(np.float32)
    tensors = [
        numpy_helper.from_array(large, "large"),
        helper.make_tensor("plain", TensorProto.FLOAT, plain.shape, plain.ravel()),
        numpy_helper.from_array(np.array([-1, 64]), "shape"),
    ]
    nodes = [
        node("Reshape", ["image", "shape"], ["rows"]),
        node("MatMul", ["rows", "large"], ["m"]),
        node("MatMul", ["m", "plain"], ["scores"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 8, 8])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 64])
    graph = helper.make_graph(nodes, "two", [image], [scores], tensors, doc_string="about")
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8, producer_name="me"
    )


def test_a_session_answers_as_that_of_the_model_in_one_message(model, monkeypatch):
    before, folders = model.SerializeToString(), []
    write = sessions.write_apart
    monkeypatch.setattr(sessions, "write_apart", lambda *a: folders.append(a[2]) or write(*a))
    images = RNG.random((3, 8, 8), dtype=np.float32)
    found, expected = (
        np.asarray(s.run(None, {"image": images})[0])
        for s in (session_of(model, threads=1), make_session(before, threads=1))
    )
    assert np.array_equal(found, expected)
    assert model.SerializeToString() == before
    assert not folders[0].exists()


def test_large_weights_are_in_the_file_alone(model, tmp_path):
    path = write_apart(without_weights(model), model.graph.initializer, tmp_path)
    assert (tmp_path / sessions.WEIGHTS).stat().st_size == 64 * 64 * 4
    light = onnx.load(path, load_external_data=False)
    assert [t.data_location for t in light.graph.initializer] == [TensorProto.EXTERNAL, 0, 0]
    whole = onnx.load(path)
    assert (whole.producer_name, whole.graph.doc_string) == ("me", "about")
    for found, expected in zip(whole.graph.initializer, model.graph.initializer, strict=True):
        assert np.array_equal(numpy_helper.to_array(found), numpy_helper.to_array(expected))
