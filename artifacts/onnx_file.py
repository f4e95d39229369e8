"""Reads `.onnx` files and checks what they declare. Every error is one line."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx.external_data_helper import ExternalDataInfo, load_external_data_for_model, uses_external_data

from ..errors import VivavoceError
from .declared import check_external, check_tensors, check_values, tensors_of
from .graph import sort_nodes
from .runtime import first_line

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
        onnx.checker.check_model(model)
        check_values(model)
    except Exception as error:  # onnx raises its own kinds, protobuf's, and Python's
        raise _refused(path, error) from error
    return model


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


def _refused(path: Path, error: Exception) -> VivavoceError:
    if isinstance(error, VivavoceError):
        return VivavoceError(f"{path}: {error}")
    if type(error).__name__ in ("DecodeError", "UnicodeDecodeError"):
        return VivavoceError(f"{path}: not an ONNX model, or not all of it (it cannot be decoded)")
    return VivavoceError(f"{path}: not a valid ONNX model: {first_line(error)}")
