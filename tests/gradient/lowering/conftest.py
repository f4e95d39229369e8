"""A node alone against its lowering, both run by onnxruntime."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from vivavoce.artifacts.runtime import make_session
from vivavoce.gradient.preparation.lowering import lower


def single(
    operator: str, domain: str, inputs: list, attributes: dict, output: int = 0, opset: int = 18
) -> onnx.ModelProto:
    """A model of one node: input `x`, further inputs constants (None: left out), one output `y`."""
    names = ["x", *(f"c{k}" if a is not None else "" for k, a in enumerate(inputs[1:]))]
    outputs = [*[""] * output, "y"] if domain != "ai.onnx.ml" or output == 0 else ["label", "y"]
    held = [numpy_helper.from_array(a, n) for n, a in zip(names[1:], inputs[1:], strict=True) if n]
    kind = helper.np_dtype_to_tensor_dtype(inputs[0].dtype)
    graph = helper.make_graph(
        [helper.make_node(operator, names, outputs, "it", domain=domain, **attributes)],
        "one",
        [helper.make_tensor_value_info("x", kind, inputs[0].shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        held,
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid(domain, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def _run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    return np.asarray(make_session(model.SerializeToString()).run(["y"], {"x": x})[0])


@pytest.fixture
def check_lowering() -> Callable[..., None]:
    """That a node and what it is lowered to give the same; the result has standard operators only."""

    def check(operator, domain, inputs, attributes, output=0, tolerance=1e-5):
        model = single(operator, domain, inputs, attributes, output)
        before = _run(model, inputs[0])
        lower(model)
        assert {node.domain for node in model.graph.node} == {""}
        after = _run(model, inputs[0])
        scale = np.abs(before).max()
        assert after.shape == before.shape
        assert scale > 1e-3
        np.testing.assert_allclose(after, before, rtol=0, atol=tolerance * scale)

    return check
