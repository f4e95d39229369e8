"""The table of lowerings, and what a lowering sees of the node that it writes out.

A lowering returns what the node's outputs are called in its place. The prepared graph is compared with
the file on every audit, so a lowering that means something else is found out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ....artifacts.graph import consumed, replace_nodes, tensors
from ....artifacts.onnx_file import is_fused
from ...errors import BEFORE, UnsupportedOperator
from ...graph import MICROSOFT, STANDARD, key

BLOCKED = "com.microsoft.nchwc"
"""Domain of operators whose weights onnxruntime has laid out for one kind of processor."""

Argument: TypeAlias = "str | np.ndarray | float"
Lowering: TypeAlias = "Callable[[Writer], Sequence[str | None]]"
LOWERINGS: dict[tuple[str, str], Lowering] = {}
"""Lowering of each (domain, operator)."""
SIZED: dict[tuple[str, str], Lowering] = {}
"""Lowerings that need the sizes of their inputs."""


def lowering(*operators: str, domain: str = MICROSOFT, sized: bool = False) -> Callable[[Lowering], Lowering]:
    """Register a function as the lowering of the named operators.

    Args:
        *operators: their names.
        domain: of the operators.
        sized: the lowering needs the sizes of the node's inputs.
    """
    table = SIZED if sized else LOWERINGS

    def register(function: Lowering) -> Lowering:
        for operator in operators:
            if (domain, operator) in table:
                raise ValueError(f"two lowerings for {operator}")
            table[domain, operator] = function
        return function

    return register


class Writer:
    """A node to be written out, and the standard nodes that take its place."""

    def __init__(
        self,
        node: onnx.NodeProto,
        constants: dict[str, onnx.TensorProto],
        sizes: Mapping[str, Sequence[int]],
    ) -> None:
        self.node, self._constants, self._sizes = node, constants, sizes
        self.nodes: list[onnx.NodeProto] = []
        self.added: list[onnx.TensorProto] = []
        self.attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        self._stem = next(name for name in node.output if name)

    def has(self, index: int) -> bool:
        """Whether an input is given."""
        return index < len(self.node.input) and bool(self.node.input[index])

    def input(self, index: int) -> str:
        """The name of an input that must be there."""
        return self.node.input[index]

    def wants(self, index: int) -> bool:
        """Whether an output is named."""
        return index < len(self.node.output) and bool(self.node.output[index])

    def array(self, index: int, name: str) -> np.ndarray:
        """A constant input, called `name` in the operator's specification.

        Raises:
            UnsupportedOperator: it is computed.
        """
        if self.input(index) not in self._constants:
            raise self.refusal(f"its {name} is computed when the model runs")
        return numpy_helper.to_array(self._constants[self.input(index)])

    def constant(self, index: int) -> bool:
        """Whether an input is a constant."""
        return self.input(index) in self._constants

    def rank(self, index: int) -> int:
        """Number of dimensions of a constant input; 0 if it is not one."""
        held = self._constants.get(self.input(index))
        return 0 if held is None else len(held.dims)

    def sizes(self, index: int) -> list[int]:
        """The shape of an input, for a lowering that needs it.

        Raises:
            UnsupportedOperator: a size is not known before the model runs.
        """
        name = self.input(index)
        held = self._constants.get(name)
        known = self._sizes.get(name, ()) if held is None else held.dims
        if not known or min(known) <= 0:
            raise self.refusal("the sizes of its input are not known before the model runs")
        return list(known)

    def get(self, name: str, default: Any) -> Any:
        """An attribute, text decoded."""
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value

    def emit(self, operator: str, *inputs: Argument, **attributes: Any) -> str:
        """Append a standard node with one output; arrays and numbers become constants."""
        return self.emit_many(operator, 1, *inputs, **attributes)[0]

    def emit_many(self, operator: str, outputs: int, *inputs: Argument, **attributes: Any) -> list[str]:
        """Append a standard node with several outputs."""
        made = [f"{self._stem}__lowered{len(self.nodes)}_{k}" for k in range(outputs)]
        names = [one if isinstance(one, str) else self._held(one) for one in inputs]
        self.nodes.append(helper.make_node(operator, names, made, made[0], **attributes))
        return made

    def _held(self, array: np.ndarray | float) -> str:
        array = array if isinstance(array, np.ndarray) else np.array(array, np.float32)
        array = array.astype(np.float32) if array.dtype == np.float64 else array
        name = f"{self._stem}__held{len(self.added)}"
        self.added.append(numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name))
        return name

    def refusal(self, reason: str) -> UnsupportedOperator:
        """The error that says why this node cannot be written out."""
        return UnsupportedOperator(
            ".".join(filter(None, key(self.node))), self.node.name or self._stem, reason
        )


def set_aside(model: onnx.ModelProto) -> None:
    """Move operators that onnxruntime puts into the standard domain, where they are not, out of it, in place.

    It writes LayerNormalization at opsets that do not have it, and SimplifiedLayerNormalization at any.
    """
    opset = next((o.version for o in model.opset_import if o.domain in STANDARD), 1)
    moved = [n for n in model.graph.node if n.domain in STANDARD and is_fused(n, opset)]
    for node in moved:
        node.domain = MICROSOFT
    if moved and all(o.domain != MICROSOFT for o in model.opset_import):
        model.opset_import.append(helper.make_opsetid(MICROSOFT, 1))


def lower(model: onnx.ModelProto) -> None:
    """Write out every operator that has a lowering, in place; the model is at opset 18 or later.

    Raises:
        UnsupportedOperator: an operator's attributes or inputs have no equal in standard operators.
    """
    blocked = next((node for node in model.graph.node if node.domain == BLOCKED), None)
    if blocked is not None:
        reason = f"its weights are laid out for one kind of processor; {BEFORE}"
        raise UnsupportedOperator(f"{BLOCKED}.{blocked.op_type}", blocked.name or blocked.output[0], reason)
    _lower(model, LOWERINGS, {})


def lower_sized(model: onnx.ModelProto) -> bool:
    """Write out every operator whose lowering needs sizes, in place; return whether there was one.

    Args:
        model: every shape is known.

    Raises:
        UnsupportedOperator: as for `lower`.
    """
    infos = (*model.graph.input, *model.graph.value_info)
    return _lower(model, SIZED, {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in infos})


def _lower(
    model: onnx.ModelProto, table: Mapping[tuple[str, str], Lowering], sizes: Mapping[str, Sequence[int]]
) -> bool:
    """Write out the operators of a table; return whether there was one."""
    found = [table.get(key(node)) for node in model.graph.node]
    if not any(found):
        return False
    constants = tensors(model.graph)
    read = {name for node in model.graph.node for name in consumed(node)}
    read |= {output.name for output in model.graph.output}
    nodes: list[onnx.NodeProto] = []
    for node, function in zip(model.graph.node, found, strict=True):
        if function is None:
            nodes.append(node)
            continue
        writer = Writer(node, constants, sizes)
        nodes += _written(writer, function(writer), read)
        model.graph.initializer.extend(writer.added)
    replace_nodes(model.graph, nodes)
    return True


def _written(writer: Writer, results: Sequence[str | None], read: set[str]) -> list[onnx.NodeProto]:
    """The nodes in place of one; where an output that is read has no equal, the node stays for it."""
    node, left = writer.node, onnx.NodeProto()
    left.CopyFrom(node)
    stays = False
    for k, (name, result) in enumerate(
        zip(node.output, [*results, *[None] * len(node.output)], strict=False)
    ):
        if name and result is not None:
            writer.nodes.append(helper.make_node("Identity", [result], [name], f"{name}__lowered"))
            left.output[k] = ""
        elif name in read:
            stays = True
    return [*writer.nodes, *([left] if stays else [])]
