"""Sessions of models that are in memory, without copies of their weights.

A model given to onnxruntime as one message is there three times for a while: as the message, as what
onnxruntime reads from it, and as the weights that its kernels use. So the weights of a large model go into a
file from which onnxruntime maps one after the other.
"""

from __future__ import annotations

import ctypes
import math
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx

from .runtime import make_session

if TYPE_CHECKING:
    import onnxruntime

LARGE = 1024
"""Entries from which a tensor goes into the file; smaller ones may be shapes."""
ALIGNMENT = 4096
"""Of each tensor's place in it, so that it can be mapped as it is."""
WEIGHTS = "weights"


def session_of(
    model: onnx.ModelProto, where: str = "model", device: str = "cpu", **options: Any
) -> onnxruntime.InferenceSession:
    """Make an onnxruntime session for a model; see `make_session`."""
    with weights_folder() as folder:
        path = write_apart(without_weights(model), model.graph.initializer, folder)
        return make_session(path, where, device, **options)


@contextmanager
def weights_folder() -> Iterator[Path]:
    """A folder for a model and its weights, until onnxruntime has read or mapped them."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def write_apart(model: onnx.ModelProto, tensors: Iterable[onnx.TensorProto], folder: Path) -> Path:
    """Write a model, its large weights in a file of their own.

    Args:
        model: without initializers; it gets those that are small.
        tensors: its initializers.
        folder: an empty folder.

    Returns:
        The model's file.
    """
    with (folder / WEIGHTS).open("wb") as file:
        for tensor in tensors:
            if not tensor.HasField("raw_data") or math.prod(tensor.dims) < LARGE:
                model.graph.initializer.append(tensor)
                continue
            data = tensor.raw_data
            start = -(-file.tell() // ALIGNMENT) * ALIGNMENT
            file.seek(start)
            file.write(data)
            outside = model.graph.initializer.add(
                name=tensor.name, data_type=tensor.data_type, dims=tensor.dims,
                data_location=onnx.TensorProto.EXTERNAL,
            )  # fmt: skip
            for key, value in (("location", WEIGHTS), ("offset", start), ("length", len(data))):
                outside.external_data.add(key=key, value=str(value))
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of the model that has no initializers."""
    light = onnx.ModelProto()
    for field, value in model.ListFields():
        if field.name != "graph":
            _set(light, field.name, value)
    for field, value in model.graph.ListFields():
        if field.name != "initializer":
            _set(light.graph, field.name, value)
    return light


def _set(message: Any, name: str, value: Any) -> None:
    """Copy one field into a message that does not have it."""
    if isinstance(value, int | float | str | bytes):
        setattr(message, name, value)
    elif hasattr(value, "CopyFrom") and not hasattr(value, "extend"):
        getattr(message, name).CopyFrom(value)
    else:
        getattr(message, name).extend(value)


def give_back() -> None:
    """Return freed memory to the system; glibc keeps it where something that lives on lies behind it."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other C libraries have none
        if trim is not None:
            trim(0)
