"""What an ONNX file declares (sizes of tensors, values, external data) against what it holds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import onnx
from google.protobuf.message import Message
from onnx import TensorProto
from onnx.external_data_helper import ExternalDataInfo, uses_external_data

from ..errors import VivavoceError
from .limits import MOST_NUMBERS, MOST_VALUES

BITS = dict.fromkeys(("DOUBLE", "INT64", "UINT64", "COMPLEX64"), 64) | {"COMPLEX128": 128}
BITS |= dict.fromkeys(("FLOAT", "INT32", "UINT32"), 32)
BITS |= dict.fromkeys(("FLOAT16", "BFLOAT16", "INT16", "UINT16"), 16)
BITS |= dict.fromkeys(("INT4", "UINT4", "FLOAT4E2M1"), 4) | {"INT2": 2, "UINT2": 2}
"""Bits of one entry; those of every other type, of 8 bits, go without saying."""
FIELDS = ("float_data", "int32_data", "string_data", "int64_data", "double_data", "uint64_data")
SMALL = 1024
"""Entries up to which an initializer's content may decide a shape."""


def tensors_of(message: Message) -> Iterator[TensorProto]:
    """Every tensor of a model: initializers, constants, those of subgraphs and of functions."""
    if isinstance(message, TensorProto):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in [value] if isinstance(value, Message) else value:
                if isinstance(part, Message):
                    yield from tensors_of(part)


def check_tensors(model: onnx.ModelProto) -> None:
    """Check that every tensor holds as many entries as its dimensions say.

    Raises:
        VivavoceError: one does not.
    """
    for tensor in tensors_of(model):
        if min(tensor.dims, default=0) < 0:
            raise VivavoceError(f"the tensor {tensor.name!r} has dimensions {list(tensor.dims)}")
        if uses_external_data(tensor):
            continue
        count, kind = math.prod(tensor.dims), _kind(tensor)
        if tensor.HasField("raw_data"):
            fits = len(tensor.raw_data) == _bytes(tensor)
        else:
            held = max(len(getattr(tensor, field)) for field in FIELDS)
            whole = count * (2 if kind.startswith("COMPLEX") else 1)
            fits = held in (whole, -(-count * BITS.get(kind, 8) // 8), -(-count * BITS.get(kind, 8) // 32))
        if not fits:
            raise VivavoceError(
                f"the tensor {tensor.name!r} declares {kind.lower()} {list(tensor.dims)}, but holds "
                "a different number of entries; the file is damaged"
            )


def _kind(tensor: TensorProto) -> str:
    try:
        return TensorProto.DataType.Name(tensor.data_type)
    except ValueError:
        raise VivavoceError(f"the tensor {tensor.name!r} is of the unknown type {tensor.data_type}") from None


def _bytes(tensor: TensorProto) -> int:
    """Bytes that a tensor takes as it is stored."""
    return -(-math.prod(tensor.dims) * BITS.get(_kind(tensor), 8) // 8)


def check_external(outside: Sequence[tuple[TensorProto, ExternalDataInfo]], folder: Path, limit: int) -> None:
    """Check that external data lie within their files, before one is read.

    That they lie in the model's own folder, and behind no link, onnx checks when it reads them.

    Raises:
        VivavoceError: a range ends beyond its file, or all are larger than `limit` or twice their files.
    """
    sizes: dict[Path, int] = {}
    declared = 0
    for tensor, info in outside:
        file = folder / info.location
        size = sizes.setdefault(file, file.stat().st_size if file.is_file() else 0)
        start, length = info.offset or 0, info.length or _bytes(tensor)
        if file.is_file() and (start < 0 or length < 0 or start + length > size or length != _bytes(tensor)):
            raise VivavoceError(
                f"the tensor {tensor.name!r} is bytes {start} to {start + length} of {info.location!r}, "
                f"which has {size}, and needs {_bytes(tensor)}; the files do not belong together"
            )
        declared += length
    if declared > min(limit, 2 * sum(sizes.values())) and sum(sizes.values()):
        raise VivavoceError(
            f"its external data declare {declared / 2**30:.2f} GiB; models of up to 2 GiB are read, "
            "and only what is stored once or twice"
        )


def check_values(model: onnx.ModelProto) -> None:
    """Check the sizes of inputs, outputs and of all values between, for one image where the batch is open.

    Shapes are inferred without the weights' contents, so that nothing of a declared size is allocated.

    Raises:
        VivavoceError: a value would be larger than any classifier of images needs.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    for value in (*model.graph.input, *model.graph.output):
        if value.name not in weights:
            _check_interface(value)
    for value in inferred_values(model):
        dims = [d.dim_value for d in value.type.tensor_type.shape.dim if d.dim_value > 0]
        if math.prod(dims) > MOST_VALUES:
            raise VivavoceError(
                f"the value {value.name!r} would have {math.prod(dims):,} entries ({dims}); "
                f"at most {MOST_VALUES:,} are computed; export the model with a smaller batch or image"
            )


def _check_interface(value: onnx.ValueInfoProto) -> None:
    """Check an input's or output's own dimensions, without the batch."""
    dims = [d.dim_value for d in value.type.tensor_type.shape.dim]
    if math.prod(max(size, 1) for size in dims[1:]) > MOST_NUMBERS:
        raise VivavoceError(
            f"{value.name!r} declares the dimensions {dims}; "
            f"at most {MOST_NUMBERS:,} numbers per image are read"
        )


def inferred_values(model: onnx.ModelProto) -> Sequence[onnx.ValueInfoProto]:
    """The values of a graph as onnx infers them, with large initializers as inputs and a batch of one."""
    weights = {tensor.name for tensor in model.graph.initializer}
    skeleton = onnx.ModelProto()
    for field in ("opset_import", "functions"):
        getattr(skeleton, field).extend(getattr(model, field))
    skeleton.ir_version = max(model.ir_version, 4)
    graph, whole = skeleton.graph, model.graph
    graph.name = whole.name
    graph.node.extend(whole.node)
    graph.input.extend(whole.input)
    graph.output.extend(onnx.ValueInfoProto(name=output.name) for output in whole.output)
    named = {value.name for value in whole.input}
    for tensor in whole.initializer:
        if math.prod(tensor.dims) <= SMALL:
            graph.initializer.append(tensor)
        elif tensor.name not in named:
            graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    for value in graph.input:
        dims = value.type.tensor_type.shape.dim
        if value.name not in weights and len(dims) and dims[0].dim_value <= 0:
            dims[0].dim_value = 1
    try:
        inferred = onnx.shape_inference.infer_shapes(skeleton, data_prop=True).graph
    except Exception:  # what cannot be inferred has no declared size
        return ()
    return (*inferred.value_info, *inferred.output)
