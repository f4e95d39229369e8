"""What the tests of this room share."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
import torch
from networks import K
from onnx import helper, numpy_helper


@pytest.fixture(autouse=True)
def one_thread():
    """In torch; processes that share the tests would fight for the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def batch() -> tuple[np.ndarray, np.ndarray]:
    """Sixteen images and the class each loss is about."""
    rng = np.random.default_rng(0)
    return rng.random((16, 3, 32, 32), dtype=np.float32), rng.integers(0, K, 16)


@pytest.fixture
def graph_of() -> Callable[..., onnx.ModelProto]:
    """A model from nodes and constants: input `image`, output `scores`."""

    def build(nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray], shape: list,
              classes: int = K, opset: int = 18, domain: str = "") -> onnx.ModelProto:  # fmt: skip
        graph = helper.make_graph(
            nodes, "classifier",
            [helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, [shape[0], classes])],
            [numpy_helper.from_array(a, k) for k, a in constants.items()],
        )  # fmt: skip
        opsets = [helper.make_opsetid("", opset), *([helper.make_opsetid(domain, 1)] if domain else [])]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)

    return build
