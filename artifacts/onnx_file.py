"""Reads `.onnx` files and checks what they declare. Every error is one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
from onnx.external_data_helper import ExternalDataInfo, load_external_data_for_model, uses_external_data

from ..errors import VivavoceError
from .declared import check_external, check_tensors, check_values, inferred_values, tensors_of
from .graph import sort_nodes
from .head import STANDARD
from .runtime import first_line

FUSED = ("LayerNormalization", "SimplifiedLayerNormalization")
"""Operators that onnxruntime's optimiser writes into the standard domain."""
MICROSOFT = "com.microsoft"
"""Domain of the operators that onnxruntime adds."""
PROTOBUF_LIMIT = 2**31 - 1
"""Bytes of the largest message that protobuf, and with it onnxruntime, takes."""


def read_onnx(path: Path) -> onnx.ModelProto:
    """Read a model with its external data, and check it.

    Nothing in an ONNX file runs as Python or machine code, and external data come from the file's own folder
    alone.

    Raises:
        VivavoceError: not a model, damaged, or it declares more than it holds; one line that names the file.
    """
    model = read_structure(path)
    try:
        if any(uses_external_data(tensor) for tensor in tensors_of(model)):
            load_external_data_for_model(model, str(path.absolute().parent))
            check_tensors(model)
        sort_nodes(model.graph)
        _complete_outputs(model)
        with strangers_aside(model):
            onnx.checker.check_model(model)
        check_values(model)
    except Exception as error:  # onnx raises its own kinds, protobuf's, and Python's
        raise _refused(path, error) from error
    return model


@contextmanager
def strangers_aside(model: onnx.ModelProto) -> Iterator[None]:
    """While this lasts, operators that onnxruntime's optimiser puts into the standard domain are out of it.

    It writes LayerNormalization at opsets that do not have it, and SimplifiedLayerNormalization at any.
    """
    opset = next((o.version for o in model.opset_import if o.domain in STANDARD), 1)
    moved = [n for n in model.graph.node if n.domain in STANDARD and is_fused(n, opset)]
    domains = [node.domain for node in moved]
    for node in moved:
        node.domain = MICROSOFT
    foreign = onnx.helper.make_opsetid(MICROSOFT, 1)
    added = bool(moved) and all(o.domain != MICROSOFT for o in model.opset_import)
    if added:
        model.opset_import.append(foreign)
    try:
        yield
    finally:
        for node, domain in zip(moved, domains, strict=True):
            node.domain = domain
        if added:
            model.opset_import.remove(foreign)


def is_fused(node: onnx.NodeProto, opset: int) -> bool:
    """Whether a node of the standard domain is an operator that its opset does not have, but onnxruntime."""
    if node.op_type not in FUSED:
        return False
    return not onnx.defs.has(node.op_type) or onnx.defs.get_schema(node.op_type).since_version > opset


def read_structure(path: Path) -> onnx.ModelProto:
    """Read a model without its external data, whose places and sizes are checked all the same.

    Raises:
        VivavoceError: as for `read_onnx`.
    """
    try:
        size = path.stat().st_size
        if size > PROTOBUF_LIMIT:
            raise VivavoceError("larger than 2 GiB; store the weights as external data, in a file next to it")
        model = onnx.load(path, load_external_data=False)
        if not model.graph.node or not model.graph.output:
            raise VivavoceError("not an ONNX model (it holds no graph)")
        check_tensors(model)
        outside = [(t, ExternalDataInfo(t)) for t in tensors_of(model) if uses_external_data(t)]
        check_external(outside, path.absolute().parent, PROTOBUF_LIMIT - size)
    except Exception as error:  # as above
        raise _refused(path, error) from error
    return model


def _complete_outputs(model: onnx.ModelProto) -> None:
    """Give outputs the shapes that some writers leave out, in place; their first size stays open.

    So do all sizes of one whose first size cannot be the number of images.
    """
    missing = [o for o in model.graph.output if not o.type.tensor_type.HasField("shape")]
    inferred = {value.name: value for value in inferred_values(model)} if missing else {}
    for output in missing:
        if output.name in inferred and output.type.WhichOneof("value") in (None, "tensor_type"):
            output.type.CopyFrom(inferred[output.name].type)
            sizes = output.type.tensor_type.shape.dim
            rows = {0, 1} | {d.dim_value for v in model.graph.input for d in v.type.tensor_type.shape.dim[:1]}
            for size in sizes[:1] if sizes and sizes[0].dim_value in rows else sizes:
                size.Clear()


def _refused(path: Path, error: Exception) -> VivavoceError:
    if isinstance(error, VivavoceError):
        return VivavoceError(f"{path}: {error}")
    if type(error).__name__ in ("DecodeError", "UnicodeDecodeError"):
        return VivavoceError(f"{path}: not an ONNX model, or not all of it (it cannot be decoded)")
    return VivavoceError(f"{path}: not a valid ONNX model: {first_line(error)}")
