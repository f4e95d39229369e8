"""Matrix products that onnxruntime's optimiser fuses, or whose weights it packs in few bits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...errors import BEFORE
from .registry import Writer, lowering


@lowering("FusedMatMul", "TransposeMatMul")
def fused_matmul(w: Writer) -> Sequence[str]:
    """y = a A B, where A, B may be stored transposed.

    Raises:
        UnsupportedOperator: the batch is stored behind the rows.
    """
    if w.get("transBatchA", 0) or w.get("transBatchB", 0):
        raise w.refusal(f"its batch is not the first dimension; {BEFORE}")
    a, b = (_transposed(w, k, name) for k, name in enumerate(("transA", "transB")))
    y = w.emit("MatMul", a, b)
    scale = w.get("alpha", 1.0)
    return [y if scale == 1 else w.emit("Mul", y, float(scale))]


def _transposed(w: Writer, index: int, name: str) -> str:
    """A factor with its last two dimensions swapped if the attribute says so; a vector stays."""
    if not w.get(name, 0):
        return w.input(index)
    if w.constant(index):
        array = w.array(index, "factor")
        return w.emit("Identity", array if array.ndim < 2 else np.swapaxes(array, -1, -2))
    return w.emit("Einsum", w.input(index), equation="...ij->...ji")


@lowering("MatMulNBits")
def matmul_n_bits(w: Writer) -> Sequence[str]:
    """y = x W^T + b, W [N, K] in blocks of few bits: (q - z) s, z half the range where none is given.

    Raises:
        UnsupportedOperator: the weight is not a constant, or has groups in another order.
    """
    bits, block = w.get("bits", 4), w.get("block_size", 32)
    rows, columns = w.get("N", 0), w.get("K", 0)
    if w.has(4) or bits not in (2, 4, 8):
        raise w.refusal(f"its weight has {bits} bits in groups of its own; {BEFORE}")
    groups = -(-columns // block)
    packed, scale = w.array(1, "weight"), w.array(2, "scale").astype(np.float64)
    quantised = _unpacked(packed.reshape(rows, -1), bits)[:, : groups * block].reshape(rows, groups, block)
    zero: np.ndarray | float = float(2 ** (bits - 1))
    if w.has(3):
        held = w.array(3, "zero point")
        zero = _unpacked(held.reshape(rows, -1), bits)[:, :groups] if held.dtype == np.uint8 else held
        zero = np.asarray(zero, np.float64).reshape(rows, groups, 1)
    weight = ((quantised - zero) * scale.reshape(rows, groups, 1)).reshape(rows, -1)[:, :columns]
    y = w.emit("MatMul", w.input(0), weight.T)
    return [w.emit("Add", y, w.input(5)) if w.has(5) else y]


def _unpacked(packed: np.ndarray, bits: int) -> np.ndarray:
    """Numbers [rows, ...] of few bits from bytes, the lowest bits first."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    parts = (packed.astype(np.uint8)[..., None] >> shifts) & np.uint8(2**bits - 1)
    return parts.reshape(len(packed), -1).astype(np.float64)


@lowering("MatMulIntegerToFloat")
def matmul_integer_to_float(w: Writer) -> Sequence[str]:
    """y = (A - za) (B - zb) sa sb + b."""
    zeros = [w.input(k) if w.has(k) else "" for k in (4, 5)]
    scale = w.emit("Mul", w.input(2), w.input(3))
    return [_scaled(w, [w.input(0), w.input(1), *zeros], scale, 6)]


@lowering("DynamicQuantizeMatMul")
def dynamic_quantize_matmul(w: Writer) -> Sequence[str]:
    """The same, A quantised by its own range."""
    a, scale, zero = w.emit_many("DynamicQuantizeLinear", 3, w.input(0))
    inputs = [a, w.input(1), zero, w.input(3) if w.has(3) else ""]
    return [_scaled(w, inputs, w.emit("Mul", scale, w.input(2)), 4)]


def _scaled(w: Writer, inputs: list[str], scale: str, bias: int) -> str:
    """An integer product as floats, times a scale, plus a bias if there is one."""
    while not inputs[-1]:
        inputs.pop()
    y = w.emit("Mul", w.emit("Cast", w.emit("MatMulInteger", *inputs), to=1), scale)
    return w.emit("Add", y, w.input(bias)) if w.has(bias) else y
