"""Arithmetic on a device: written down first, and run as one ONNX graph when its result is needed.

A step of an attack is twenty operations on arrays as large as the images. Run one by one, each would cost a
call of onnxruntime and a wait for the device; as one graph they cost one. Graphs have no sizes in them and
are kept by what they compute, so every step and every batch of an attack runs the same few sessions.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import helper

from ...errors import VivavoceError
from ..runtime import first_line, make_session

if TYPE_CHECKING:
    import onnxruntime

OPSET, IR = 17, 8
DEEPEST = 64
"""Operations that a node may be away from values; beyond, it is computed at once."""
LARGE = 1 << 16
"""Bytes from which an array of the host is copied to the device once, and not in every run."""
PROGRAMS = 256
"""Sessions that are kept; they hold no weights."""

Attributes = tuple[tuple[str, Any], ...]
Step = tuple[str, tuple[str, ...], Attributes]
Program = tuple[tuple[Step, ...], tuple[str, ...], str]
"""Steps (operator, names of inputs, attributes), the types of the leaves, and the type of the result."""


class Node:
    """One array: its value, or the operation and inputs that it is computed from."""

    __slots__ = ("attributes", "depth", "dtype", "inputs", "operator", "shape", "value")

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: np.dtype,
        value: onnxruntime.OrtValue | np.ndarray | None = None,
        operator: str = "",
        inputs: Sequence[Node] = (),
        attributes: Attributes = (),
    ) -> None:
        self.shape, self.dtype, self.value = shape, dtype, value
        self.operator, self.inputs, self.attributes = operator, tuple(inputs), attributes
        self.depth = 0 if value is not None else 1 + max(node.depth for node in inputs)


def host(array: Any, dtype: np.dtype | None = None) -> Node:
    """A copy of an array of the host."""
    copied = np.array(array, dtype, order="C")
    return Node(copied.shape, copied.dtype, copied)


def apply(operator: str, inputs: Sequence[Node], dtype: Any = None, **attributes: Any) -> Node:
    """An operation entry by entry, with numpy's broadcasting.

    Args:
        operator: of ONNX.
        inputs: of the types that it takes.
        dtype: of the result; None: that of the first input.
        attributes: of the operator.
    """
    shape = inputs[0].shape
    if any(node.shape not in (shape, ()) for node in inputs):
        shape = np.broadcast_shapes(*(node.shape for node in inputs))
    return shaped(operator, inputs, shape, dtype, **attributes)


def shaped(
    operator: str, inputs: Sequence[Node], shape: tuple[int, ...], dtype: Any = None, **attributes: Any
) -> Node:
    """An operation whose result has a shape of its own."""
    found = inputs[0].dtype if dtype is None else np.dtype(dtype)
    return Node(shape, found, None, operator, inputs, tuple(sorted(attributes.items())))


def cast(node: Node, dtype: np.dtype) -> Node:
    """The same numbers in another type."""
    if node.dtype == dtype:
        return node
    if isinstance(node.value, np.ndarray):
        return host(node.value, dtype)
    return apply("Cast", [node], dtype, to=helper.np_dtype_to_tensor_dtype(dtype))


def compute(node: Node, device: str) -> onnxruntime.OrtValue:
    """The value of a node, on the device; it is computed once."""
    if node.value is None:
        node.value = _run(node, device, device)
        node.inputs, node.depth = (), 0
    elif isinstance(node.value, np.ndarray):
        node.value = placed(node.value, device)
    return node.value


def fetch(node: Node, device: str) -> np.ndarray:
    """The value of a node, on the host; the node does not keep it."""
    return np.array(_run(node, device, "cpu").numpy())


def placed(array: np.ndarray, device: str) -> onnxruntime.OrtValue:
    """A copy of an array on the device; on the CPU, the array itself."""
    import onnxruntime

    with _failing(device):
        return onnxruntime.OrtValue.ortvalue_from_numpy(array, device, 0)


@contextmanager
def _failing(device: str) -> Iterator[None]:
    """Report what fails on a device; mostly its memory is full.

    Raises:
        VivavoceError: something did.
    """
    try:
        yield
    except VivavoceError:
        raise
    except Exception as error:  # onnxruntime's exceptions share no base class
        raise VivavoceError(
            f"device {device}: onnxruntime failed: {first_line(error)}; if its memory is full, give a "
            "smaller --batch-size"
        ) from error


def _run(node: Node, device: str, to: str) -> onnxruntime.OrtValue:
    """Run what a node is computed from; the result goes `to` the device or the host."""
    program, leaves = _written(node)
    session = _session(program, device)
    binding = session.io_binding()
    with _failing(device):
        for k, leaf in enumerate(leaves):
            if isinstance(leaf.value, np.ndarray) and leaf.value.nbytes < LARGE:
                binding.bind_cpu_input(f"leaf{k}", leaf.value)
            else:
                binding.bind_ortvalue_input(f"leaf{k}", compute(leaf, device))
        binding.bind_output(f"step{len(program[0]) - 1}", to)
        binding.synchronize_inputs()
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        return binding.get_outputs()[0]


def _written(root: Node) -> tuple[Program, list[Node]]:
    """The program of a node, and the values that it starts from."""
    names: dict[int, str] = {}
    steps: list[Step] = []
    leaves: list[Node] = []

    def visit(node: Node) -> str:
        if id(node) not in names:
            if node.value is not None:
                names[id(node)] = f"leaf{len(leaves)}"
                leaves.append(node)
            else:
                inputs = tuple(visit(given) for given in node.inputs)
                names[id(node)] = f"step{len(steps)}"
                steps.append((node.operator, inputs, node.attributes))
        return names[id(node)]

    visit(root)
    return (tuple(steps), tuple(leaf.dtype.str for leaf in leaves), root.dtype.str), leaves


@functools.lru_cache(maxsize=PROGRAMS)
def _session(program: Program, device: str) -> onnxruntime.InferenceSession:
    """The session of a program.

    It is not optimised: every operation rounds as it does alone.
    """
    steps, leaves, result = program

    def information(name: str, dtype: str) -> Any:
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), None)

    graph = helper.make_graph(
        [
            helper.make_node(operator, inputs, [f"step{k}"], **dict(attributes))
            for k, (operator, inputs, attributes) in enumerate(steps)
        ],
        "arithmetic",
        [information(f"leaf{k}", dtype) for k, dtype in enumerate(leaves)],
        [information(f"step{len(steps) - 1}", result)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    return make_session(model.SerializeToString(), "arithmetic", device, threads=1, optimise="none")
