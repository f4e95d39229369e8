"""Inputs besides the image: which a file needs, and values for them that are built into its graph."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..errors import VivavoceError
from ..text import plain
from .arrays import read_array
from .graph import consumed
from .interface import Declared
from .preprocessing import Fixed

LARGEST = 2**28
"""Bytes of a value that is read from a file."""


def free_inputs(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """The inputs that have no default value."""
    weights = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in weights]


def keep_needed(model: onnx.ModelProto, output: str) -> None:
    """Take out, in place, the nodes, inputs, weights and outputs that one output does not need."""
    graph, wanted, kept = model.graph, {output}, []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted |= consumed(node)
    inputs = [v for v in graph.input if v.name in wanted] or list(graph.input)
    outputs = [v for v in graph.output if v.name == output]
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in reversed(kept)]
    for field, values in (("node", nodes), ("input", inputs), ("output", outputs)):
        copies = [type(v).FromString(v.SerializeToString()) for v in values]
        graph.ClearField(field)  # type: ignore[arg-type]
        getattr(graph, field).extend(copies)
    for k in reversed([k for k, tensor in enumerate(graph.initializer) if tensor.name not in wanted]):
        del graph.initializer[k]


def needed_values(
    model: onnx.ModelProto, graph: onnx.GraphProto, given: Mapping[str, Fixed], path: Path
) -> dict[str, Fixed]:
    """The values that a part of a model needs, of those that are given.

    Raises:
        VivavoceError: the model has no input of a name.
    """
    known = [value.name for value in model.graph.input]
    for name in given:
        if name not in known:
            shown = ", ".join(plain(value.name) for value in free_inputs(model.graph))
            raise VivavoceError(f"{path}: --fix {plain(name)}: no such input; the inputs are {shown}")
    needed = {value.name for value in graph.input}
    return {name: value for name, value in given.items() if name in needed}


def the_image(graph: onnx.GraphProto, given: Mapping[str, Fixed], path: Path) -> onnx.ValueInfoProto:
    """The one input that has no value.

    Raises:
        VivavoceError: there are more; the message says how to give them values.
    """
    open_ones = [value for value in free_inputs(graph) if value.name not in given]
    if len(open_ones) == 1:
        return open_ones[0]
    if not open_ones:
        raise VivavoceError(
            f"{path}: every input has a value; drop the --fix of the one that takes the images"
        )
    shown = ", ".join(f"{plain(value.name)} {Declared.of(value).text}" for value in open_ones)
    images = [value for value in open_ones if _like_images(value)]
    others = [value for value in open_ones if value is not (images or open_ones)[0]]
    values = " ".join(
        f"--fix {plain(v.name)}={'FILE.npy' if v.type.tensor_type.shape.dim else 'NUMBER'}" for v in others
    )
    raise VivavoceError(
        f"{path}: {len(open_ones)} inputs ({shown}); a classifier of images takes one: give the others "
        f"values, such as {values}"
    )


def _like_images(value: onnx.ValueInfoProto) -> bool:
    dims = [d.dim_value for d in value.type.tensor_type.shape.dim]
    return len(dims) == 4 and bool({1, 3} & {dims[1], dims[3]})


def fix_inputs(
    graph: onnx.GraphProto, image: onnx.ValueInfoProto, given: Mapping[str, Fixed], path: Path
) -> tuple[list[onnx.NodeProto], dict[str, str]]:
    """Give inputs values, in place.

    Args:
        graph: its inputs that get values become initializers.
        image: the input that takes the images.
        given: a number, numbers, or a .npy file, by the input's name.
        path: the model, for messages.

    Returns:
        Nodes to put in front that repeat a value for every image of the input `image`, and the SHA-256 of
        each value by name.

    Raises:
        VivavoceError: there is no such input, or the value does not fit it.
    """
    nodes, digests = [], {}
    declared = {value.name: value for value in graph.input}
    for name, value in given.items():
        array, repeated = _fitted(declared[name], value, image, path)
        digest = hashlib.sha256(f"{array.dtype.str} {array.shape} ".encode() + array.tobytes())
        digests[name] = digest.hexdigest()
        for held in [tensor for tensor in graph.initializer if tensor.name == name]:
            graph.initializer.remove(held)
        graph.input.remove(declared[name])
        stored = f"vivavoce/fixed_{name}" if repeated else name
        graph.initializer.append(numpy_helper.from_array(array, stored))
        if repeated:
            nodes += _repeated(graph, stored, name, array.shape)
    return nodes, digests


def _fitted(
    declared: onnx.ValueInfoProto, value: Fixed, image: onnx.ValueInfoProto, path: Path
) -> tuple[np.ndarray, bool]:
    """The value in the input's type and shape, and whether it is for one image of any number."""
    name, tensor = f"{path}: --fix {plain(declared.name)}", declared.type.tensor_type
    if declared.type.WhichOneof("value") != "tensor_type" or tensor.elem_type == TensorProto.STRING:
        raise VivavoceError(
            f"{name}: the input is not an array of numbers; export the model with it built in"
        )
    text = Declared.of(declared).text
    array = _array(value, name)
    cast = _converted(array, tensor.elem_type)
    if cast is None:
        raise VivavoceError(f"{name}: the input is {text}; the value has numbers that do not fit that type")
    sizes = [d.dim_value if d.dim_value > 0 else None for d in tensor.shape.dim]
    if tensor.HasField("shape"):
        if cast.size == 1:
            cast = np.full([size or 1 for size in sizes], cast.ravel()[0], cast.dtype)
        elif cast.ndim == len(sizes) - 1:
            cast = np.repeat(cast[None], sizes[0] or 1, axis=0)
        fits = len(sizes) == cast.ndim and all(a in (None, b) for a, b in zip(sizes, cast.shape, strict=True))
        if not fits and len(sizes) == cast.ndim and cast.shape[:1] == (1,) and _per_image(declared, image):
            cast = np.repeat(cast, sizes[0] or 1, axis=0)
            fits = all(a in (None, b) for a, b in zip(sizes, cast.shape, strict=True))
        if not fits:
            shown = f"{array.dtype} {list(array.shape)}"
            raise VivavoceError(f"{name}: the input is {text}, the value {shown}")
    repeated = cast.ndim > 0 and sizes[:1] == [None] and len(cast) == 1 and _per_image(declared, image)
    return cast, repeated


def _converted(array: np.ndarray, element: int) -> np.ndarray | None:
    """An array in an ONNX type; None where that would change it, but for rounding of floats."""
    if array.dtype.kind not in "biuf":
        return None
    try:
        dtype = helper.tensor_dtype_to_np_dtype(element)
        with np.errstate(all="ignore"):
            cast = array.astype(dtype)
            same = np.array_equal(cast, array) or (dtype.kind not in "iub" and bool(np.isfinite(cast).all()))
    except (TypeError, ValueError, KeyError, OverflowError):
        return None
    return cast if same else None


def _array(value: Fixed, name: str) -> np.ndarray:
    if not isinstance(value, str):
        return np.asarray(value)
    if not value.lower().endswith(".npy"):
        raise VivavoceError(f"{name}: {plain(value)!r} is neither a number nor a .npy file")
    return read_array(Path(value), LARGEST)


def _per_image(value: onnx.ValueInfoProto, image: onnx.ValueInfoProto) -> bool:
    """Whether an input has one entry for each image: its first size is the images', by number or name."""
    ours, images = (list(v.type.tensor_type.shape.dim[:1]) for v in (value, image))
    if not ours or not images:
        return False
    return (max(ours[0].dim_value, 0), ours[0].dim_param) == (
        max(images[0].dim_value, 0),
        images[0].dim_param,
    )


def _repeated(graph: onnx.GraphProto, stored: str, name: str, shape: Sequence[int]) -> list[onnx.NodeProto]:
    """Nodes that make `name` of the value for one image: that value for each of the input `image`."""
    first, rest = f"{stored}_first", f"{stored}_rest"
    for held, numbers in ((first, [0]), (rest, list(shape[1:]))):
        graph.initializer.append(numpy_helper.from_array(np.array(numbers, np.int64), held))
    sizes, count, target = (f"{stored}_{part}" for part in ("sizes", "count", "target"))
    nodes = [("Shape", ["image"], sizes), ("Gather", [sizes, first], count)]
    if len(shape) > 1:
        nodes.append(("Concat", [count, rest], target))
    nodes.append(("Expand", [stored, target if len(shape) > 1 else count], name))
    made = [helper.make_node(o, i, [n], name=f"vivavoce/{n}") for o, i, n in nodes]
    for node in made:
        if node.op_type == "Concat":
            node.attribute.append(helper.make_attribute("axis", 0))
    return made
