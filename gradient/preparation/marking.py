"""Marks one value of a model, so that nothing that prepares the model changes what the value is."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

from ...artifacts.declared import inferred_values
from ...artifacts.graph import replace_nodes
from ...errors import VivavoceError
from ...text import plain, suggestion

BEFORE = "vivavoce_before_of"
"""What the node that made a marked value puts out; the marker makes the value itself from it."""


def mark(model: onnx.ModelProto, of: str, whole: onnx.ModelProto) -> None:
    """Keep a value apart from what onnxruntime simplifies, in place, so that it stays what the file says.

    A sum of one term makes it, which no simplification of onnxruntime removes or looks through: operators
    before and behind it are not fused, and equal values elsewhere stay values of their own.

    Args:
        model: in float32, with only what the outputs need.
        of: the value's name.
        whole: the model with everything that it had.

    Raises:
        VivavoceError: the value is not there, is no float, a constant, or the outputs do not depend on it.
    """
    maker = next((node for node in model.graph.node if of in node.output), None)
    if maker is None or maker.op_type == "Constant":
        raise _unusable(model, of, whole)
    kind = next((v.type.tensor_type.elem_type for v in inferred_values(model) if v.name == of), 0)
    if kind not in (TensorProto.FLOAT, TensorProto.UNDEFINED):
        held = TensorProto.DataType.Name(kind).lower()
        raise VivavoceError(f"`{plain(of)}` holds {held}; a gradient needs floats")
    maker.output[list(maker.output).index(of)] = BEFORE
    nodes = list(model.graph.node)
    nodes.insert(nodes.index(maker) + 1, helper.make_node("Sum", [BEFORE], [of], BEFORE))
    replace_nodes(model.graph, nodes)


def _unusable(model: onnx.ModelProto, of: str, whole: onnx.ModelProto) -> VivavoceError:
    """Why a value that no node of the prepared model computes has no gradient."""
    constants = {t.name for t in whole.graph.initializer}
    constants |= {name for node in whole.graph.node if node.op_type == "Constant" for name in node.output}
    if of in constants:
        return VivavoceError(f"`{plain(of)}` is a constant, and not computed from the input")
    if any(of in node.output for node in whole.graph.node):
        return VivavoceError(f"the loss does not depend on `{plain(of)}`; choose a value that leads to it")
    names = [name for node in model.graph.node for name in node.output if name]
    instead = suggestion(of, names, f"its last ones are {', '.join(plain(name) for name in names[-3:])}")
    return VivavoceError(f"the model computes no value `{plain(of)}`; {instead}")


def unmark(model: onnx.ModelProto) -> None:
    """Turn the marker, if there is one, into an Identity, in place."""
    for node in model.graph.node:
        if node.op_type == "Sum" and list(node.input) == [BEFORE]:
            node.op_type = "Identity"
