"""Attention that onnxruntime's optimiser fuses (Vaswani et al. 2017), as products and a softmax."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ...errors import BEFORE
from .registry import Writer, lowering

BIAS = 5
"""Input that is added before the softmax, of both operators."""


@lowering("Attention")
def attention(w: Writer) -> Sequence[str]:
    """Self-attention of x [N, L, D] with the projections of query, key and value side by side in one weight.

    Raises:
        UnsupportedOperator: it has a mask of lengths, a past, or rotates what it compares.
    """
    _refuse(w, past=4, mask=3, rotary=w.get("do_rotary", 0))
    projected = w.emit("MatMul", w.input(0), w.input(1))
    if w.has(2):
        projected = w.emit("Add", projected, w.input(2))
    width = w.array(1, "weight").shape[1]
    sizes = w.get("qkv_hidden_sizes", []) or [width // 3] * 3
    parts = w.emit_many("Split", 3, projected, np.array(sizes, np.int64), axis=-1)
    heads = w.get("num_heads", 1)
    query, key, value = (_heads(w, part, heads) for part in parts)
    return [_attend(w, query, key, value, sizes[0] // heads)]


@lowering("MultiHeadAttention")
def multi_head_attention(w: Writer) -> Sequence[str]:
    """Attention of projected query, key and value [N, L, D], with one bias for all three before it.

    Key and value may come as [N, heads, L, D / heads]; that, and packed ones, go by their ranks alone.

    Raises:
        UnsupportedOperator: key or value are not given, or it has a mask of lengths or a past.
    """
    _refuse(w, past=6, mask=4, rotary=0)
    if not (w.has(1) and w.has(2)) or w.has(7):
        raise w.refusal(f"its key and value are packed with its query; {BEFORE}")
    query, key, value = (w.input(k) for k in range(3))
    if w.has(3):
        bias = w.array(3, "bias").reshape(3, -1)
        query, key, value = (w.emit("Add", x, b) for x, b in zip((query, key, value), bias, strict=True))
    heads = w.get("num_heads", 1)
    query, key, value = (_heads(w, part, heads) for part in (query, key, value))
    return [_attend(w, query, key, value, None)]


def _refuse(w: Writer, *, past: int, mask: int, rotary: int) -> None:
    if w.has(past) or w.wants(1) or rotary:
        raise w.refusal(f"it keeps keys and values for the next run, or rotates them; {BEFORE}")
    if w.has(mask):
        raise w.refusal(f"it masks positions, in one of several layouts; {BEFORE}")


def _heads(w: Writer, x: str, heads: int) -> str:
    """[N, L, D] as [N, heads, L, D / heads]."""
    apart = w.emit("Reshape", x, np.array([0, 0, heads, -1]))
    return w.emit("Transpose", apart, perm=[0, 2, 1, 3])


def _attend(w: Writer, query: str, key: str, value: str, size: int | None) -> str:
    """Softmax of q k^T / d^(1/2) times v, the heads joined again: [N, L, D].

    Args:
        w: the node.
        query: [N, heads, L, d].
        key: [N, heads, L', d].
        value: [N, heads, L', e].
        size: d; None: read from the query.
    """
    weights = w.emit("MatMul", query, w.emit("Transpose", key, perm=[0, 1, 3, 2]))
    scale = w.get("scale", 0.0)
    if scale or size:
        weights = w.emit("Mul", weights, float(scale or 1 / math.sqrt(size or 1)))
    else:
        last = w.emit("Cast", w.emit("Shape", query, start=-1), to=1)
        weights = w.emit("Div", weights, w.emit("Sqrt", last))
    if w.has(BIAS):
        weights = w.emit("Add", weights, w.input(BIAS))
    if w.get("unidirectional", 0):
        raise w.refusal(f"it looks back only; {BEFORE}")
    mixed = w.emit("MatMul", w.emit("Softmax", weights, axis=-1), value)
    return w.emit("Reshape", w.emit("Transpose", mixed, perm=[0, 2, 1, 3]), np.array([0, 0, -1]))
