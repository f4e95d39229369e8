"""A value of an ONNX graph, with the arithmetic that emits new nodes.

Rules are written with these operators so that they read like the formula in their docstring:
`dy * y * (1 - y)` emits three nodes and returns the value of the last one. Arithmetic on constants
is done at once, in numpy, and emits nothing.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from .graph import Graph

Operand: TypeAlias = "Value | float"

_NUMPY = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide, "Neg": np.negative}


class Value:
    """One named tensor of a graph, of known shape and type."""

    def __init__(self, graph: Graph, name: str, shape: Sequence[int], dtype: np.dtype) -> None:
        self._graph = weakref.ref(graph)  # graphs hold weights: no cycles that keep them alive
        self.name = name
        self.shape = tuple(int(size) for size in shape)
        self.dtype = dtype

    def __repr__(self) -> str:
        return f"Value({self.name!r}, {list(self.shape)}, {self.dtype})"

    @property
    def graph(self) -> Graph:
        """The graph that the value belongs to."""
        graph = self._graph()
        if graph is None:
            raise ReferenceError(f"the graph of {self.name} is gone")
        return graph

    @property
    def rank(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of entries."""
        return math.prod(self.shape)

    @property
    def array(self) -> np.ndarray | None:
        """What the value holds if it does not depend on any input of the graph, else None."""
        return self.graph.array(self.name)

    @property
    def uniform(self) -> float | None:
        """The one number that every entry of a constant holds, else None."""
        array = self.array
        if array is None or array.dtype != np.float32 or array.size == 0:
            return None
        first = array.flat[0]
        return float(first) if (array == first).all() else None

    # ------------------------------------------------------------------ arithmetic
    def _binary(self, operator: str, other: Operand, swapped: bool = False) -> Value:
        value = other if isinstance(other, Value) else self.graph.constant(np.array(other, self.dtype))
        left, right = (value, self) if swapped else (self, value)
        if left.array is not None and right.array is not None:
            folded = _NUMPY[operator](left.array, right.array)
            return self.graph.constant(folded.astype(self.dtype))
        return self.graph.emit(
            operator, [left, right], np.broadcast_shapes(left.shape, right.shape), self.dtype
        )

    def __add__(self, other: Operand) -> Value:
        return self._binary("Add", other)

    __radd__ = __add__

    def __sub__(self, other: Operand) -> Value:
        return self._binary("Sub", other)

    def __rsub__(self, other: Operand) -> Value:
        return self._binary("Sub", other, swapped=True)

    def __mul__(self, other: Operand) -> Value:
        for a, b in ((self, other), (other, self)):
            factor = b.uniform if isinstance(b, Value) else b
            if factor is None or not isinstance(a, Value) or (a.array is not None):
                continue
            if isinstance(b, Value) and np.broadcast_shapes(a.shape, b.shape) != a.shape:
                continue
            return a if factor == 1 else -a if factor == -1 else a._binary("Mul", factor)
        return self._binary("Mul", other)

    __rmul__ = __mul__

    def __truediv__(self, other: Operand) -> Value:
        if isinstance(other, Value) and other.array is None:
            return self._binary("Div", other)
        with np.errstate(divide="ignore"):
            divisor = other.array if isinstance(other, Value) else np.array(other)
            inverse = (1.0 / np.asarray(divisor, np.float64)).astype(np.float32)
        return self * self.graph.constant(inverse)

    def __rtruediv__(self, other: Operand) -> Value:
        return self._binary("Div", other, swapped=True)

    def __neg__(self) -> Value:
        if self.array is not None:
            return self.graph.constant(-self.array)
        return self.map("Neg")

    def __matmul__(self, other: Value) -> Value:
        batch = np.broadcast_shapes(self.shape[:-2], other.shape[:-2])
        return self.graph.emit("MatMul", [self, other], (*batch, self.shape[-2], other.shape[-1]))

    def map(self, operator: str, *more: Operand, **attributes: Any) -> Value:
        """Apply a standard operator entry by entry: `x.map("Exp")`; the result has this value's shape."""
        inputs = [self, *(self.graph.lift(v, self.dtype) for v in more)]
        return self.graph.emit(operator, inputs, self.shape, self.dtype, **attributes)

    def compare(self, operator: str, other: Operand) -> Value:
        """Apply a comparison (`Greater`, `Less`, `Equal`, ...): bool of the broadcast shape."""
        right = self.graph.lift(other, self.dtype)
        shape = np.broadcast_shapes(self.shape, right.shape)
        return self.graph.emit(operator, [self, right], shape, np.dtype(bool))

    def where(self, yes: Operand, no: Operand) -> Value:
        """Choose entry by entry by this bool value."""
        pair = [self.graph.lift(yes), self.graph.lift(no)]
        shape = np.broadcast_shapes(self.shape, *(v.shape for v in pair))
        return self.graph.emit("Where", [self, *pair], shape)

    def cast(self, dtype: type | np.dtype = np.float32) -> Value:
        """Convert to another type."""
        return self.graph.cast(self, np.dtype(dtype))

    # ------------------------------------------------------------------ shape
    def reshape(self, *shape: int) -> Value:
        """The same entries in another shape (no -1)."""
        if shape == self.shape:
            return self
        if self.array is not None:
            return self.graph.constant(self.array.reshape(shape))
        return self.graph.emit("Reshape", [self, self.graph.integers(shape)], shape, self.dtype)

    def transpose(self, *perm: int) -> Value:
        """Permute the dimensions."""
        if list(perm) == list(range(self.rank)):
            return self
        if self.array is not None:
            key = ("transposed", self.name, perm)
            if key not in self.graph.memo:
                self.graph.memo[key] = self.graph.view(self.array.transpose(perm))
            return self.graph.memo[key]
        maker = self.graph.producer.get(self.name)
        if maker is not None and maker.op_type == "Transpose":
            inner = next((list(a.ints) for a in maker.attribute), list(range(self.rank))[::-1])
            return self.graph.value(maker.input[0]).transpose(*(inner[k] for k in perm))
        return self.graph.emit(
            "Transpose", [self], [self.shape[k] for k in perm], self.dtype, perm=list(perm)
        )

    @property
    def mT(self) -> Value:  # noqa: N802
        """Last two dimensions swapped, as in numpy."""
        r = self.rank
        return self.transpose(*range(r - 2), r - 1, r - 2)

    def expand(self, *shape: int) -> Value:
        """Repeat along dimensions of size 1 (numpy's broadcast_to)."""
        if shape == self.shape:
            return self
        wide = self.graph.emit("Expand", [self, self.graph.integers(shape)], shape, self.dtype)
        if self.array is not None:  # remembered, but not stored in the model at its full size
            self.graph.remember(wide, np.broadcast_to(self.array, shape))
        return wide

    def reduce(self, operator: str, axes: Sequence[int], keepdims: bool = True) -> Value:
        """Reduce over axes: `x.reduce("ReduceSum", [2, 3])`."""
        axes = sorted(axis % self.rank for axis in axes)
        if not axes:
            return self
        kept = [1 if k in axes else size for k, size in enumerate(self.shape)]
        shape = kept if keepdims else [size for k, size in enumerate(self.shape) if k not in axes]
        axes_input = self.graph.integers(axes)
        return self.graph.emit(operator, [self, axes_input], shape, self.dtype, keepdims=int(keepdims))

    def sum(self, axes: Sequence[int], keepdims: bool = True) -> Value:
        """Sum over axes."""
        if self.array is not None:
            total = self.array.sum(axis=tuple(axes), keepdims=keepdims)
            return self.graph.constant(total.astype(self.dtype))
        return self.reduce("ReduceSum", axes, keepdims)

    def mean(self, axes: Sequence[int]) -> Value:
        """Mean over axes, which stay with size 1."""
        return self.reduce("ReduceMean", axes)

    def sum_to(self, shape: Sequence[int]) -> Value:
        """Undo broadcasting: sum over the dimensions along which `shape` was repeated.

        If y = expand(x), every entry of x feeds several of y, so dx is the sum of their dy.
        """
        shape = tuple(shape)
        lead = self.rank - len(shape)
        axes = list(range(lead))
        axes += [lead + k for k, size in enumerate(shape) if size == 1 and self.shape[lead + k] != 1]
        return self.sum(axes).reshape(*shape) if axes else self.reshape(*shape)

    def slice(self, axis: int, start: int, stop: int, step: int = 1) -> Value:
        """Take `start:stop:step` along one axis (start and stop within 0..size, step positive)."""
        if (start, stop, step) == (0, self.shape[axis], 1):
            return self
        shape = list(self.shape)
        shape[axis] = len(range(start, stop, step))
        bounds = [self.graph.integers([k]) for k in (start, stop, axis, step)]
        return self.graph.emit("Slice", [self, *bounds], shape, self.dtype)

    def pad(self, before: Sequence[int], after: Sequence[int]) -> Value:
        """Add zeros around; negative amounts cut."""
        if not any(before) and not any(after):
            return self
        shape = [b + size + a for b, size, a in zip(before, self.shape, after, strict=True)]
        return self.graph.emit("Pad", [self, self.graph.integers([*before, *after])], shape, self.dtype)
