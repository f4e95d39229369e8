"""Operators that onnxruntime's optimiser fuses of an activation and what comes before it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ...errors import BEFORE
from .registry import Writer, lowering


@lowering("Gelu")
def gelu(w: Writer) -> Sequence[str]:
    """y = x P(x), P the normal distribution function."""
    return [_gelu(w, w.input(0))]


@lowering("BiasGelu")
def bias_gelu(w: Writer) -> Sequence[str]:
    """Gelu of x + b."""
    return [_gelu(w, w.emit("Add", w.input(0), w.input(1)))]


@lowering("FastGelu")
def fast_gelu(w: Writer) -> Sequence[str]:
    """y = z (1 + tanh(c (z + 0.044715 z^3))) / 2 with z = x + b and c = (2/pi)^(1/2)."""
    z = w.emit("Add", w.input(0), w.input(1)) if w.has(1) else w.input(0)
    cube = w.emit("Mul", w.emit("Mul", z, z), z)
    inner = w.emit("Add", z, w.emit("Mul", cube, 0.044715))
    t = w.emit("Tanh", w.emit("Mul", inner, float(math.sqrt(2 / math.pi))))
    return [w.emit("Mul", w.emit("Mul", z, 0.5), w.emit("Add", t, float(1)))]


@lowering("QuickGelu")
def quick_gelu(w: Writer) -> Sequence[str]:
    """y = x sigmoid(a x)."""
    x = w.input(0)
    scaled = w.emit("Mul", x, float(w.get("alpha", 1.702)))
    return [w.emit("Mul", x, w.emit("Sigmoid", scaled))]


def _gelu(w: Writer, x: str) -> str:
    scaled = w.emit("Erf", w.emit("Mul", x, float(math.sqrt(0.5))))
    half = w.emit("Mul", w.emit("Add", scaled, float(1)), 0.5)
    return w.emit("Mul", x, half)


@lowering("FusedConv")
def fused_conv(w: Writer) -> Sequence[str]:
    """Convolution plus a fourth input, if given, then an activation."""
    y = w.emit("Conv", *_operands(w), **_convolution(w))
    if w.has(3):
        y = w.emit("Add", y, w.input(3))
    return [activated(w, y)]


@lowering("NhwcFusedConv")
def nhwc_fused_conv(w: Writer) -> Sequence[str]:
    """FusedConv of x [N, ..., C]; the weight is laid out as that of Conv."""
    n = len(w.get("kernel_shape", [])) or max(w.rank(1) - 2, 0)
    if not n:
        raise w.refusal(f"its number of dimensions is not known; {BEFORE}")
    first, last = [0, n + 1, *range(1, n + 1)], [0, *range(2, n + 2), 1]
    x, *others = _operands(w)
    y = w.emit("Conv", w.emit("Transpose", x, perm=first), *others, **_convolution(w))
    y = w.emit("Transpose", y, perm=last)
    if w.has(3):
        y = w.emit("Add", y, w.input(3))
    return [activated(w, y)]


@lowering("NhwcMaxPool")
def nhwc_max_pool(w: Writer) -> Sequence[str]:
    """MaxPool of x [N, ..., C]."""
    n = len(w.get("kernel_shape", []))
    x = w.emit("Transpose", w.input(0), perm=[0, n + 1, *range(1, n + 1)])
    pooled = w.emit("MaxPool", x, **w.attributes)
    return [w.emit("Transpose", pooled, perm=[0, *range(2, n + 2), 1])]


def _operands(w: Writer) -> list[str]:
    """Image, weight and bias of a convolution."""
    return [w.input(k) for k in range(3) if w.has(k)]


def _convolution(w: Writer) -> dict[str, Any]:
    """The attributes of Conv among a node's own."""
    known = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")
    return {name: w.get(name, None) for name in known if name in w.attributes}


def activated(w: Writer, y: str) -> str:
    """A value after the activation that a fused node names.

    Raises:
        UnsupportedOperator: it is not one of the known ones.
    """
    name, numbers = w.get("activation", ""), list(w.get("activation_params", []))
    if not name:
        return y
    if name in ("Relu", "Tanh", "Sigmoid"):
        return w.emit(name, y)
    if name == "LeakyRelu":
        return w.emit(name, y, alpha=numbers[0] if numbers else 0.01)
    if name == "Clip":
        return w.emit(name, y, *(float(bound) for bound in numbers))
    if name == "HardSigmoid":
        alpha, beta = numbers or (0.2, 0.5)
        return w.emit(name, y, alpha=alpha, beta=beta)
    raise w.refusal(f"its activation {name} has no rule; {BEFORE}")


@lowering("FusedGemm")
def fused_gemm(w: Writer) -> Sequence[str]:
    """Gemm, then an activation, whose numbers are attributes of their own."""
    known = {
        name: w.get(name, None) for name in ("alpha", "beta", "transA", "transB") if name in w.attributes
    }
    y = w.emit("Gemm", *_operands(w), **known)
    numbers = [w.get(f"activation_{name}", None) for name in ("alpha", "beta", "gamma")]
    w.attributes["activation_params"] = [number for number in numbers if number is not None]
    return [activated(w, y)]
