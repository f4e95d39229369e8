"""Evaluating nodes whose inputs are constant."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ...artifacts.runtime import make_session


def evaluate(
    node: onnx.NodeProto, inputs: dict[str, np.ndarray | None], model: onnx.ModelProto
) -> list[np.ndarray | None]:
    """Run one node on constants; outputs that cannot be computed are None.

    Args:
        node: a node without outside inputs in subgraphs.
        inputs: its inputs by name.
        model: the model it is from, for the opsets.
    """
    names = [name for name in node.output if name]
    given = [numpy_helper.from_array(array, name) for name, array in inputs.items() if array is not None]
    outputs = [helper.make_empty_tensor_value_info(name) for name in names]
    alone = helper.make_model(
        helper.make_graph([node], "constant", [], outputs, given),
        opset_imports=list(model.opset_import),
        ir_version=max(8, model.ir_version),
    )
    try:
        session = make_session(alone.SerializeToString(), threads=1)
        found = dict(zip(names, (np.asarray(array) for array in session.run(names, {})), strict=True))
    except Exception:  # onnxruntime's exceptions have no public base; an unknown value is no failure
        return [None] * len(node.output)
    return [found.get(name) for name in node.output]
