"""Inputs and outputs as an ONNX file declares them."""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from ..text import plain


@dataclass(frozen=True)
class Declared:
    """An input or output as a file declares it."""

    name: str
    type: str
    """`float`, `uint8`, ...; `sequence`, `map` and the like for what is no tensor."""
    shape: tuple[int | str | None, ...] | None
    """Sizes, names of open ones, or None where they have none; None: no shape is declared."""

    @property
    def text(self) -> str:
        """Type and shape in words, such as `int64 [N, 7]`."""
        if self.shape is None:
            return self.type
        sizes = ", ".join("any" if size is None else plain(str(size)) for size in self.shape)
        return f"{self.type} [{sizes}]"

    @classmethod
    def of(cls, value: onnx.ValueInfoProto) -> Declared:
        """Read what a graph says of an input or output."""
        kind, tensor = value.type.WhichOneof("value"), value.type.tensor_type
        if kind != "tensor_type":
            return cls(value.name, (kind or "unknown").removesuffix("_type"), None)
        shape = tuple(d.dim_value if d.dim_value > 0 else d.dim_param or None for d in tensor.shape.dim)
        name = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
        return cls(value.name, name, shape if tensor.HasField("shape") else None)
