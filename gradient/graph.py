"""An ONNX graph under construction: the model's nodes, and the nodes that rules add."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ..artifacts.graph import consumed
from .errors import MissingRule
from .value import Operand, Value

FLOAT = np.dtype(np.float32)
INT = np.dtype(np.int64)
STANDARD = ("", "ai.onnx")
MICROSOFT = "com.microsoft"
"""Domain of the operators that onnxruntime adds."""
BLOCK = 16
"""Channels in onnxruntime's blocked layout are a multiple of this."""


def key(node: onnx.NodeProto) -> tuple[str, str]:
    """Domain and operator, the standard domain written empty."""
    return ("" if node.domain in STANDARD else node.domain, node.op_type)


class Graph:
    """A model with static shapes, and everything emitted on top of it.

    Args:
        model: prepared (see `prepare`): every shape known, nodes in topological order, opset >= 18.
        blocked: shape new nodes for onnxruntime's blocked CPU convolutions (see `layout`).
        straight_through: treat hard activations as the identity instead of refusing them.
        prefix: of the names of new values.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        *,
        blocked: bool = True,
        straight_through: bool = False,
        prefix: str = "",
    ) -> None:
        self.base = model
        self.prefix = prefix
        self.blocked = blocked
        self.straight_through = straight_through
        self.nodes = list(model.graph.node)
        self.opset = next(o.version for o in model.opset_import if o.domain in STANDARD)
        self.producer = {name: node for node in self.nodes for name in node.output if name}
        self.inputs = list(model.graph.input)
        self.memo: dict[tuple, Value] = {}
        self._initializers = {t.name: t for t in model.graph.initializer}
        self._types = _value_types(model)
        self._arrays: dict[str, np.ndarray | None] = {v.name: None for v in model.graph.input}
        self._values: dict[str, Value] = {}
        self._added: dict[str, np.ndarray] = {}
        self._constants: dict[tuple, Value] = {}
        self._counter = 0

    # ------------------------------------------------------------------ reading
    def value(self, name: str) -> Value:
        """Look up a value of the model.

        Raises:
            MissingRule: its shape or type is not known.
        """
        if name not in self._values:
            if name in self._initializers:
                proto = self._initializers[name]
                shape, dtype = tuple(proto.dims), helper.tensor_dtype_to_np_dtype(proto.data_type)
            else:
                shape, dtype = self._types.get(name, (None, None))
            if shape is None or dtype is None:
                array = self.array(name)
                if array is None:
                    raise MissingRule(f"the shape of `{name}` is not known before the model runs")
                shape, dtype = array.shape, array.dtype
            self._values[name] = Value(self, name, shape, np.dtype(dtype))
        return self._values[name]

    def described(self, name: str) -> bool:
        """Whether the shape and type of a value of the model are known."""
        shape, dtype = self._types.get(name, (None, None))
        return name in self._initializers or (shape is not None and dtype is not None)

    def array(self, name: str) -> np.ndarray | None:
        """What a value holds if no input of the graph changes it, else None."""
        pending = [name]  # graphs are deeper than Python's stack
        while pending:
            node = self.producer.get(pending[-1])
            before = [i for i in (node.input if node else ()) if i and i not in self._arrays]
            if pending[-1] in self._arrays:
                pending.pop()
            elif before and pending[-1] not in self._initializers:
                pending += before
            else:
                self._arrays[pending[-1]] = self._fold(pending[-1])
        return self._arrays[name]

    def _fold(self, name: str) -> np.ndarray | None:
        """Compute a constant: an initializer, or a node whose inputs are all known to be constant."""
        if name in self._initializers:
            return numpy_helper.to_array(self._initializers[name])
        node = self.producer.get(name)
        if node is None or node.op_type.startswith("Random"):
            return None
        inputs = {i: self._arrays[i] for i in node.input if i}
        if any(array is None for array in inputs.values()):
            return None
        from .preparation.folding import evaluate

        return evaluate(node, inputs, self.base)[list(node.output).index(name)]

    # ------------------------------------------------------------------ writing
    def input(self, name: str, shape: Sequence[int], dtype: np.dtype) -> Value:
        """Declare another input of the finished model."""
        self.inputs.append(helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(dtype), shape))
        self._arrays[name] = None
        self._values[name] = Value(self, name, shape, dtype)
        return self._values[name]

    def emit(
        self,
        operator: str,
        inputs: Sequence[Value | None],
        shape: Sequence[int],
        dtype: np.dtype = FLOAT,
        *,
        domain: str = "",
        early: bool = False,
        **attributes: Any,
    ) -> Value:
        """Append a node with one output of the given shape and return that output."""
        outputs = [(shape, dtype)]
        return self.emit_many(operator, inputs, outputs, domain=domain, early=early, **attributes)[0]

    def emit_many(
        self,
        operator: str,
        inputs: Sequence[Value | None],
        outputs: Sequence[tuple[Sequence[int], np.dtype]],
        *,
        domain: str = "",
        early: bool = False,
        **attributes: Any,
    ) -> list[Value]:
        """Append a node with several outputs, each of a given (shape, type).

        An `early` one is put right behind the nodes that it reads from.
        """
        names = [self.fresh(operator.lower()) for _ in outputs]
        arguments = [v.name if v is not None else "" for v in inputs]
        node = helper.make_node(operator, arguments, names, names[0], domain=domain, **attributes)
        place = len(self.nodes)
        if early:
            read = set(arguments)
            place = max((k + 1 for k, n in enumerate(self.nodes) if read.intersection(n.output)), default=0)
        self.nodes.insert(place, node)
        for name, (shape, dtype) in zip(names, outputs, strict=True):
            self.producer[name] = node
            self._arrays[name] = None
            self._values[name] = Value(self, name, shape, np.dtype(dtype))
        return [self._values[name] for name in names]

    def replace(self, node: onnx.NodeProto, *others: onnx.NodeProto) -> None:
        """Put nodes that make the same values in the place of one of the model's."""
        place = next(k for k, n in enumerate(self.nodes) if n is node)
        self.nodes[place : place + 1] = others
        for other in others:
            self.producer.update(dict.fromkeys(other.output, other))

    def tidy(self, kept: Iterable[str]) -> None:
        """Drop the nodes that do not lead to some values, and what was read of the weights of those alone."""
        self.nodes, read = needed(self.nodes, set(kept))
        for name in (self._initializers.keys() & self._arrays.keys()) - read:
            del self._arrays[name]

    def constant(self, array: np.ndarray) -> Value:
        """Add a constant; equal ones are stored once."""
        array = np.asarray(array, order="C")
        key = (array.dtype.str, array.shape, hashlib.blake2b(array.data, digest_size=16).digest())
        if key not in self._constants:
            name = self.fresh("constant")
            self._added[name] = self._arrays[name] = array
            self._constants[key] = self._values[name] = Value(self, name, array.shape, array.dtype)
        return self._constants[key]

    def view(self, array: np.ndarray) -> Value:
        """Add a constant that shares its memory with another one until it is written."""
        if array.flags.c_contiguous:
            return self.constant(array)
        name = self.fresh("constant")
        self._added[name] = self._arrays[name] = array
        self._values[name] = Value(self, name, array.shape, array.dtype)
        return self._values[name]

    def remember(self, value: Value, array: np.ndarray) -> None:
        """Note that an emitted value is constant, so that arithmetic with it can be simplified."""
        self._arrays[value.name] = array

    def integers(self, numbers: Iterable[int]) -> Value:
        """A constant int64 vector: shapes, axes, bounds."""
        return self.constant(np.array(list(numbers), np.int64))

    def zeros(self, *shape: int) -> Value:
        """A constant of zeros."""
        return self.constant(np.zeros((), np.float32)).expand(*shape)

    def lift(self, operand: Operand, dtype: np.dtype = FLOAT) -> Value:
        """A number becomes a constant; a value stays."""
        return operand if isinstance(operand, Value) else self.constant(np.array(operand, dtype))

    def cast(self, value: Value, dtype: np.dtype) -> Value:
        """Convert a value's type."""
        if value.dtype == dtype:
            return value
        return self.emit("Cast", [value], value.shape, dtype, to=helper.np_dtype_to_tensor_dtype(dtype))

    def concat(self, parts: Sequence[Value], axis: int) -> Value:
        """Join values along an axis."""
        if len(parts) == 1:
            return parts[0]
        shape = list(parts[0].shape)
        shape[axis] = sum(part.shape[axis] for part in parts)
        return self.emit("Concat", list(parts), shape, parts[0].dtype, axis=axis)

    def fresh(self, stem: str) -> str:
        """A name that nothing in the graph has yet."""
        while True:
            self._counter += 1
            name = f"{self.prefix}{stem}__{self._counter}"
            if name not in self.producer and name not in self._initializers and name not in self._types:
                return name

    def model(self, outputs: dict[str, Value]) -> onnx.ModelProto:
        """The finished model: only what the outputs need, the outputs under the given names."""
        model, tensors = self.parts(outputs)
        model.graph.initializer.extend(tensors)
        return model

    def parts(self, outputs: dict[str, Value]) -> tuple[onnx.ModelProto, Iterator[onnx.TensorProto]]:
        """The finished model without its initializers, and those one by one, so that no copies add up."""
        model = onnx.ModelProto(ir_version=max(8, self.base.ir_version))
        model.opset_import.extend(self.base.opset_import)
        known = {o.domain for o in model.opset_import}
        if any(node.domain == MICROSOFT for node in self.nodes) and MICROSOFT not in known:
            model.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
        model.graph.name = "input-gradient"
        model.graph.input.extend(self.inputs)
        model.graph.output.extend(information(name, value) for name, value in outputs.items())
        named = [helper.make_node("Identity", [v.name], [k]) for k, v in outputs.items() if v.name != k]
        kept, read = needed([*self.nodes, *named], set(outputs))
        model.graph.node.extend(kept)
        return model, self._tensors(read)

    def body(self, name: str, results: list[Value]) -> onnx.GraphProto:
        """The added nodes that make some results, as the body of a node of another graph."""
        kept, read = needed(self.nodes, {value.name for value in results})
        shown = [information(value.name, value) for value in results]
        return helper.make_graph(kept, name, [], shown, list(self._tensors(read)))

    def _tensors(self, names: set[str]) -> Iterator[onnx.TensorProto]:
        yield from (tensor for name, tensor in self._initializers.items() if name in names)
        for name, array in self._added.items():
            if name in names:
                yield numpy_helper.from_array(array, name)


def information(name: str, value: Value) -> onnx.ValueInfoProto:
    """The declaration of a value under a name."""
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)


def _value_types(model: onnx.ModelProto) -> dict[str, tuple[tuple[int, ...] | None, np.dtype | None]]:
    """Shape and type of every value that declares them; a shape with an unknown size counts as unknown."""
    types = {}
    for info in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        tensor = info.type.tensor_type
        dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type) if tensor.elem_type else None
        known = tensor.HasField("shape") and all(d.HasField("dim_value") for d in tensor.shape.dim)
        types[info.name] = (tuple(d.dim_value for d in tensor.shape.dim) if known else None, dtype)
    return types


def needed(nodes: list[onnx.NodeProto], wanted: set[str]) -> tuple[list[onnx.NodeProto], set[str]]:
    """The nodes that make the wanted values, and every name that those nodes read."""
    read, kept = set(wanted), []
    for node in reversed(nodes):
        if read.intersection(node.output):
            kept.append(node)
            read |= consumed(node)
    return kept[::-1], read
