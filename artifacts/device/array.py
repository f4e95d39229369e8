"""Arrays that stay on a device and take numpy's operations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from .expression import DEEPEST, Node, apply, cast, compute, fetch, host, placed, shaped

if TYPE_CHECKING:
    import onnxruntime

ONE = {np.negative: "Neg", np.absolute: "Abs", np.sign: "Sign", np.ceil: "Ceil", np.floor: "Floor",
       np.rint: "Round"}  # fmt: skip
TWO = {np.add: "Add", np.subtract: "Sub", np.multiply: "Mul", np.divide: "Div", np.maximum: "Max",
       np.minimum: "Min"}  # fmt: skip
COMPARED = {np.equal: "Equal", np.less: "Less", np.less_equal: "LessOrEqual", np.greater: "Greater",
            np.greater_equal: "GreaterOrEqual"}  # fmt: skip
TYPES = {"tensor(float)": "f4", "tensor(double)": "f8", "tensor(float16)": "f2", "tensor(bool)": "?",
         "tensor(int64)": "i8"}  # fmt: skip
ROWS = np.array([1], np.int64)
"""The axis that is left of a row."""


class DeviceArray(NDArrayOperatorsMixin):
    """An array on an onnxruntime device that numpy's operations leave there.

    It knows the operations that attacks need, between such arrays, numpy's arrays and numbers, with numpy's
    types and broadcasting. Anything else is a TypeError, and so is a silent conversion to numpy: `numpy()`
    copies explicitly. Two things differ from numpy:

    - Reductions leave one number for each row (all axes but the first are reduced) and give a numpy array:
      decisions about an image follow from it, and those are taken on the host.
    - Slices, rows and reshapes are copies, never views. A copy shares its values until one side changes.
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, node: Node, device: str) -> None:
        if node.depth >= DEEPEST:
            compute(node, device)
        self._node, self.device = node, device

    @classmethod
    def upload(cls, array: np.ndarray, device: str) -> DeviceArray:
        """A copy of a numpy array on `cpu` or `cuda`."""
        copied = np.array(array, order="C")
        return cls(Node(copied.shape, copied.dtype, placed(copied, device)), device)

    @classmethod
    def holding(cls, value: onnxruntime.OrtValue, device: str) -> DeviceArray:
        """The array of a value that is on the device; nobody else may write to it."""
        return cls(Node(tuple(value.shape()), np.dtype(TYPES[value.data_type()]), value), device)

    def numpy(self) -> np.ndarray:
        """A copy on the host."""
        return np.array(self.value().numpy())

    def value(self) -> onnxruntime.OrtValue:
        """What the array holds, on the device; only to be read."""
        return compute(self._node, self.device)

    # ------------------------------------------------------------------ what it is
    @property
    def shape(self) -> tuple[int, ...]:
        """As of numpy's arrays, like the following."""
        return self._node.shape

    @property
    def dtype(self) -> np.dtype:
        """Type of the entries."""
        return self._node.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"DeviceArray({list(self.shape)}, {self.dtype}, {self.device})"

    def __array__(self, *_: object, **__: object) -> NoReturn:
        _refuse("silent conversion to numpy")

    def __bool__(self) -> NoReturn:
        _refuse("a truth value")

    def __iter__(self) -> NoReturn:
        _refuse("iteration")

    # ------------------------------------------------------------------ numpy's operations
    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> DeviceArray:
        if method != "__call__" or options:
            _refuse(f"numpy.{ufunc.__name__} with options, in place, or by .{method}")
        if ufunc is np.not_equal:
            return self._made(apply("Not", [(inputs[0] == inputs[1])._node]))
        if ufunc in TWO or ufunc in COMPARED:
            kinds = ufunc.resolve_dtypes((*map(_kind, inputs), None))
            pair = [_node(given, kind) for given, kind in zip(inputs, kinds[:2], strict=True)]
            return self._made(apply(TWO.get(ufunc) or COMPARED[ufunc], pair, kinds[2]))
        if ufunc in ONE:
            return self._made(apply(ONE[ufunc], [self._node]))
        if ufunc is np.isfinite:
            largest = host(np.finfo(self.dtype).max, self.dtype)
            return self._made(apply("LessOrEqual", [apply("Abs", [self._node]), largest], bool))
        if ufunc is np.trunc:
            return np.sign(self) * np.floor(np.abs(self))  # type: ignore[return-value]
        _refuse(f"numpy.{ufunc.__name__}")

    def __array_function__(
        self, function: Callable, types: object, given: Sequence[Any], options: dict[str, Any]
    ) -> Any:
        if function not in FUNCTIONS:
            _refuse(f"numpy.{function.__name__}")
        return FUNCTIONS[function](*given, **options)

    def astype(self, dtype: Any) -> DeviceArray:
        """As numpy's, like all methods from here on."""
        return self._made(cast(self._node, np.dtype(dtype)))

    def copy(self) -> DeviceArray:
        """The same entries in an array of its own."""
        return self._made(self._node)

    def reshape(self, *sizes: int) -> DeviceArray:
        """The same entries in another shape; one size may be -1."""
        known = math.prod(size for size in sizes if size != -1)
        entries = math.prod(self.shape)
        shape = tuple(entries // known if size == -1 else size for size in sizes)
        if math.prod(shape) != entries:
            raise ValueError(f"cannot reshape {list(self.shape)} into {list(sizes)}")
        sizes_node = host(shape, np.dtype(np.int64))
        return self._made(shaped("Reshape", [self._node, sizes_node], shape, allowzero=1))

    def _made(self, node: Node) -> DeviceArray:
        return DeviceArray(node, self.device)

    # ------------------------------------------------------------------ rows
    def __getitem__(self, key: slice | np.ndarray) -> DeviceArray:
        rows = self._rows(key)
        if self._all(rows):
            return self.copy()
        self.value()  # once, however often rows are taken
        return self._made(shaped("Gather", [self._node, host(rows)], (len(rows), *self.shape[1:]), axis=0))

    def __setitem__(self, key: slice | np.ndarray, values: DeviceArray | np.ndarray) -> None:
        rows, shape = self._rows(key), getattr(values, "shape", None)
        if shape != (len(rows), *self.shape[1:]):
            raise TypeError(f"{len(rows)} rows of {list(self.shape)} need as many new ones, not {shape}")
        if len(set(rows.tolist())) < len(rows):
            raise TypeError("a row of an array on a device can be assigned only once")
        new = _node(values, self.dtype)
        if self._all(rows):
            self._node = new
        elif len(rows):
            self.value()
            written = shaped("ScatterND", [self._node, host(rows[:, None]), new], self.shape)
            self._node = self._made(written)._node

    def _rows(self, key: slice | np.ndarray) -> np.ndarray:
        """The rows of a key: int64 [n]."""
        if not isinstance(key, slice) and getattr(key, "ndim", 0) != 1:
            _refuse("an index that is neither a slice nor a one-dimensional array")
        return np.arange(len(self))[key]

    def _all(self, rows: np.ndarray) -> bool:
        return len(rows) == len(self) and np.array_equal(rows, np.arange(len(rows)))

    # ------------------------------------------------------------------ one number for each row
    def sum(self, axis: int | tuple[int, ...], keepdims: bool = False) -> np.ndarray:
        """The sums of rows of floats; onnxruntime adds in another order than numpy."""
        self._check("f", "a sum")
        return self._reduced(_sum, axis, keepdims)

    def max(self, axis: int | tuple[int, ...], keepdims: bool = False) -> np.ndarray:
        """The largest entries of rows of floats; NaN where a row has one."""
        self._check("f", "a maximum")
        return self._reduced(_largest, axis, keepdims)

    def all(self, axis: int | tuple[int, ...], keepdims: bool = False) -> np.ndarray:
        """Whether all entries of rows of bool are true."""
        self._check("b", "all()")
        return self._reduced(lambda rows: _flag("ReduceMin", rows), axis, keepdims)

    def any(self, axis: int | tuple[int, ...], keepdims: bool = False) -> np.ndarray:
        """Whether an entry of rows of bool is true."""
        self._check("b", "any()")
        return self._reduced(lambda rows: _flag("ReduceMax", rows), axis, keepdims)

    def _check(self, kind: str, what: str) -> None:
        if self.dtype.kind != kind:
            _refuse(f"{what} of {self.dtype}")

    def _reduced(
        self, reduced: Callable[[Node], Node], axis: int | tuple[int, ...], keepdims: bool
    ) -> np.ndarray:
        axes = {k % self.ndim for k in ((axis,) if isinstance(axis, int) else axis)}
        if axes != set(range(1, self.ndim)):
            _refuse(f"a reduction over the axes {sorted(axes)}, but over all except the first")
        shape = (len(self), *[1] * (self.ndim - 1)) if keepdims else (len(self),)
        node = reduced((self if self.ndim == 2 else self.reshape(len(self), math.prod(self.shape[1:])))._node)
        return fetch(node, self.device).reshape(shape) if len(self) else np.zeros(shape, node.dtype)


def on_host(array: np.ndarray | DeviceArray) -> np.ndarray:
    """The array itself, or a copy of one that is on a device."""
    return array.numpy() if isinstance(array, DeviceArray) else array


def _refuse(what: str) -> NoReturn:
    raise TypeError(f"an array on a device does not support {what}; copy it with numpy() first")


def _kind(given: Any) -> Any:
    """What decides the type of a result: a number has less say in it than an array."""
    if isinstance(given, bool | int | float) and not isinstance(given, np.generic):
        return type(given)
    if not isinstance(given, DeviceArray | np.ndarray | np.generic):
        _refuse(f"operations with {type(given).__name__}")
    return given.dtype


def _node(given: Any, dtype: np.dtype) -> Node:
    return cast(given._node, dtype) if isinstance(given, DeviceArray) else host(given, dtype)


def _common(given: Sequence[Any]) -> list[Node]:
    """Arrays and numbers, all of the type that numpy gives their result."""
    kinds = [value if isinstance(_kind(value), type) else value.dtype for value in given]
    dtype = np.result_type(*kinds)
    return [_node(value, dtype) for value in given]


def _device(given: Sequence[Any]) -> str:
    return next(value.device for value in given if isinstance(value, DeviceArray))


def _sum(rows: Node) -> Node:
    return shaped("ReduceSum", [rows, host(ROWS)], rows.shape[:1], keepdims=0)


def _largest(rows: Node) -> Node:
    known = apply("Equal", [rows, rows], bool)  # onnxruntime may pass over a NaN
    least, missing = (host(value, rows.dtype) for value in (-np.inf, np.nan))
    found = shaped("ReduceMax", [apply("Where", [known, rows, least], rows.dtype)], rows.shape[:1], **OVER)
    return apply("Where", [_flag("ReduceMin", known), found, missing], rows.dtype)


def _flag(operator: str, rows: Node) -> Node:
    """A reduction of flags, as numbers: onnxruntime has none of bool everywhere."""
    numbers = cast(rows, np.dtype(np.float32))
    return cast(shaped(operator, [numbers], rows.shape[:1], **OVER), np.dtype(bool))


def _where(flags: Any, yes: Any, no: Any) -> DeviceArray:
    choice = _node(flags, np.dtype(bool))
    pair = _common([yes, no])
    return DeviceArray(apply("Where", [choice, *pair], pair[0].dtype), _device([flags, yes, no]))


def _clip(given: Any, low: Any, high: Any) -> DeviceArray:
    value, least, most = _common([given, low, high])
    return DeviceArray(apply("Min", [apply("Max", [value, least]), most]), _device([given, low, high]))


def _concatenate(arrays: Sequence[Any], axis: int = 0) -> DeviceArray:
    if axis != 0 or not all(isinstance(array, DeviceArray) for array in arrays):
        _refuse("concatenation along other axes than the first, or with arrays of the host")
    if len(arrays) == 1:
        return arrays[0].copy()
    shape = (sum(map(len, arrays)), *arrays[0].shape[1:])
    return DeviceArray(shaped("Concat", _common(arrays), shape, axis=0), _device(arrays))


def _einsum(formula: str, one: Any, two: Any) -> np.ndarray:
    if formula != "nd,nd->n":
        _refuse(f"numpy.einsum({formula!r})")
    return (one * two).sum(1)


OVER: dict[str, Any] = {"axes": (1,), "keepdims": 0}
FUNCTIONS = {np.where: _where, np.clip: _clip, np.concatenate: _concatenate, np.einsum: _einsum}
"""Functions of numpy that are no ufuncs."""
