"""Which softmax at the end of a file can be left out."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.helper import make_node as node

from vivavoce.artifacts import decide, open_model
from vivavoce.artifacts.onnx_model import OnnxModel

WEIGHTS = np.random.default_rng(0).standard_normal((12, 4)).astype(np.float32)


def opened(path, tail, opset=13, batch="N"):
    """A linear model of 2x2 images whose logits `z` [N, 4] go through `tail` to `y`."""
    nodes = [node("Flatten", ["x"], ["f"]), node("MatMul", ["f", "w"], ["z"]), *tail]
    constants = {
        "w": WEIGHTS,
        "halves": np.array([-1, 2]),
        "rows": np.array([-1, 4]),
        "sides": np.array([2, 3]),
    }
    graph = helper.make_graph(
        nodes, "tail", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, 2, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 4])],
        [numpy_helper.from_array(a, k) for k, a in constants.items()],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", opset)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return open_model(path)


BYPASSED = {
    "last axis": ([node("Softmax", ["z"], ["y"])], 13),
    "axis 1": ([node("LogSoftmax", ["z"], ["y"], axis=1)], 13),
    "old default": ([node("Softmax", ["z"], ["y"])], 11),
    "identity behind": ([node("Softmax", ["z"], ["s"], axis=1), node("Identity", ["s"], ["y"])], 13),
    "cast behind": (
        [node("Softmax", ["z"], ["s"]), node("Cast", ["s"], ["d"], to=11), node("Cast", ["d"], ["y"], to=1)],
        13,
    ),
    "squeezed": (
        [node("Unsqueeze", ["z", "sides"], ["u"]), node("Softmax", ["u"], ["s"], axis=1),
         node("Squeeze", ["s", "sides"], ["y"])],
        13,
    ),
    "flattened, old": (
        [node("Unsqueeze", ["z"], ["u"], axes=[2, 3]), node("Softmax", ["u"], ["s"], axis=1),
         node("Flatten", ["s"], ["y"])],
        11,
    ),
}  # fmt: skip
KEPT = {
    "over the batch": ([node("Softmax", ["z"], ["y"], axis=0)], 13),
    "over the batch, old": ([node("Softmax", ["z"], ["y"], axis=0)], 11),
    "over the batch, from behind": ([node("Softmax", ["z"], ["y"], axis=-2)], 13),
    "over halves": (
        [node("Reshape", ["z", "halves"], ["h"]), node("Softmax", ["h"], ["s"], axis=1),
         node("Reshape", ["s", "rows"], ["y"])],
        13,
    ),
    "rounded": (
        [node("Softmax", ["z"], ["s"]), node("Cast", ["s"], ["i"], to=6), node("Cast", ["i"], ["y"], to=1)],
        13,
    ),
    "over one": (
        [node("Unsqueeze", ["z", "sides"], ["u"]), node("Softmax", ["u"], ["s"], axis=-1),
         node("Squeeze", ["s", "sides"], ["y"])],
        13,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BYPASSED)
def test_a_softmax_over_the_classes_is_left_out(tmp_path, name):
    tail, opset = BYPASSED[name]
    model = opened(tmp_path / "model.onnx", tail, opset)
    assert isinstance(model, OnnxModel)
    images = np.random.default_rng(1).random((5, 3, 2, 2), dtype=np.float32)
    scores = model.answer(images).scores
    assert model.understood
    assert model.understood.head.bypassed
    np.testing.assert_allclose(scores, images.reshape(5, 12) @ WEIGHTS, rtol=1e-5)
    assert (decide(scores) == (images.reshape(5, 12) @ WEIGHTS).argmax(1)).all()


@pytest.mark.parametrize("name", KEPT)
def test_one_that_decides_stays(tmp_path, name):
    model = opened(tmp_path / "model.onnx", *KEPT[name])
    assert isinstance(model, OnnxModel)
    assert model.understood
    assert not model.understood.head.bypassed
