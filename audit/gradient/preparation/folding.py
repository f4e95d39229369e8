"""Evaluating nodes whose inputs are constant."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper
from onnx.reference import ReferenceEvaluator


def evaluate(
    node: onnx.NodeProto, inputs: dict[str, np.ndarray | None], model: onnx.ModelProto
) -> list[np.ndarray | None]:
    """Run one node on constants; outputs it cannot compute are None.

    Args:
        node: a node without outside inputs in subgraphs.
        inputs: its inputs by name.
        model: the model it is from, for the opsets.
    """
    names = [name for name in node.output if name]
    graph = helper.make_graph(
        [node],
        "constant",
        [helper.make_tensor_value_info(k, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
         for k, v in inputs.items() if v is not None],
        [helper.make_empty_tensor_value_info(name) for name in names],
    )  # fmt: skip
    try:
        alone = helper.make_model(graph, opset_imports=list(model.opset_import), ir_version=model.ir_version)
        results = [np.asarray(r) for r in ReferenceEvaluator(alone).run(None, dict(inputs))]
    except Exception:  # the evaluator raises whatever its operators do; an unknown value is no failure
        return [None] * len(node.output)
    found = dict(zip(names, results, strict=True))
    return [found.get(name) for name in node.output]
