"""Constants and slices that matrix products with constant weights take in.

Passes over whole activations cost more than their arithmetic. A product y = x B + C with constant B and C
takes in a scale of x or y, the scale and shift of a layer normalisation before it, and the slices that y is
split into. The results are the same up to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np
import onnx
from onnx import helper

from .graph import Graph, key
from .products import Product, Readers, Way, moderate, permutation
from .value import Value

NARROWEST = 64
"""Columns of the narrowest slice that gets a product of its own."""


def absorb(graph: Graph, kept: Collection[str]) -> None:
    """Rewrite the model's nodes in place.

    Args:
        graph: holds the model's nodes alone.
        kept: names of values that stay what they are.
    """
    for rewrite in (_gelus, _divisors, _scales_behind, _normalisations, _scales_before, _slices):
        rewrite(Readers(graph, kept))
        graph.tidy(kept)


def centred(value: Value) -> Value | None:
    """Give value - mean(value) over the last axis, or None where no products with constants make the value.

    The weights are centred in its place: x B - mean(x B) = x (B - mean(B)), the mean over the columns.
    """
    graph, maker = value.graph, value.graph.producer.get(value.name)
    if maker is None or key(maker) not in (("", "Reshape"), ("", "Add"), ("", "MatMul")):
        return None
    first, second = (graph.value(name) for name in maker.input)
    if maker.op_type == "Reshape" and first.shape[-1:] == value.shape[-1:]:
        inner = centred(first)
        return None if inner is None else inner.reshape(*value.shape)
    if maker.op_type == "Add" and first.shape == second.shape:
        terms = centred(first), centred(second)
        return None if terms[0] is None or terms[1] is None else terms[0] + terms[1]
    if maker.op_type == "MatMul" and second.rank == 2 and second.array is not None:
        weight = second.array.astype(np.float64)
        weight -= weight.mean(1, keepdims=True)
        return first @ graph.constant(weight.astype(np.float32))
    return None


def _gelus(readers: Readers) -> None:
    """Write GELU between two products out, so that they take in its scales and its slope shares its parts."""
    graph = readers.graph
    for node in readers.nodes:
        if node.op_type != "Gelu" or any(a.name == "approximate" and a.s != b"none" for a in node.attribute):
            continue
        if readers.before(node.input[0]) is None or readers.behind(node.output[0]) is None:
            continue
        x = graph.value(node.input[0])
        below = _scaled(x, math.sqrt(0.5))
        for operator, more in (("Erf", []), ("Add", [graph.lift(1.0)]), ("Mul", [x])):
            below = graph.emit(operator, [below, *more], x.shape, early=True)
        _become(graph, node, _scaled(below, 0.5))


def _divisors(readers: Readers) -> None:
    """Where x = a B + C is read as c x and as x h, as by GELU, make c x at once, and x h from it."""
    graph = readers.graph
    for node in readers.nodes:
        scaled = readers.factor(node)
        if scaled is None or scaled[1].ndim or not scaled[1]:
            continue
        others = [other for other in readers.of(scaled[0]) if other is not node]
        way = readers.before(scaled[0], alone=False)
        if way is None or len(others) != 1 or others[0].op_type != "Mul" or node in others:
            continue
        last, factor = others[0], 1 / scaled[1]
        gates = [name for name in last.input if name != scaled[0]]
        behind = readers.of(last.output[0])
        further = readers.factor(behind[0]) if len(behind) == 1 else None
        if further is not None and not further[1].ndim:
            last_scale, end = further[1] * factor, behind[0]
        else:
            last_scale, end = factor, last
        if len(gates) != 1 or not readers.behind(end.output[0]):
            continue
        product = readers.product(way[-1])
        assert product is not None
        _become(graph, node, _along(graph, way, product.columns(scaled[1])))
        gated = graph.value(node.output[0]), graph.value(gates[0])
        raw = graph.emit("Mul", gated, graph.value(last.output[0]).shape, early=True)
        _become(graph, end, _scaled(raw, float(last_scale)))


def _scales_behind(readers: Readers) -> None:
    """c (x B + C) = x (B c) + C c, c one number or one per column."""
    for node in readers.nodes:
        scaled = readers.factor(node)
        way = readers.before(scaled[0]) if scaled is not None else None
        if scaled is None or way is None:
            continue
        product = readers.product(way[-1])
        assert product is not None
        _become(readers.graph, node, _along(readers.graph, way, product.columns(scaled[1])))


def _normalisations(readers: Readers) -> None:
    """(s z + b) B + C = z (s B) + (b B + C), z standardised.

    The gradient of the normalisation needs z and its scale: they are outputs of the one node.
    """
    graph = readers.graph
    for node in readers.nodes:
        if node.op_type != "LayerNormalization" or any(node.output[1:]):
            continue
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        x, ways = readers.value(node.input[0]), readers.behind(node.output[0])
        scale, *shift = (graph.array(name) for name in node.input[1:] if name)
        if x is None or not ways or attributes.get("axis", -1) not in (-1, x.rank - 1):
            continue
        if scale is None or not moderate(scale) or any(array is None for array in shift):
            continue
        statistics = (*x.shape[:-1], 1)
        z, _, _ = graph.emit_many(
            "LayerNormalization", [x, graph.constant(np.ones(x.shape[-1], np.float32))],
            [(x.shape, x.dtype), (statistics, x.dtype), (statistics, x.dtype)],
            early=True, axis=-1, epsilon=attributes.get("epsilon", 1e-5),
        )  # fmt: skip
        for way in ways:
            _replace(graph, z, way, readers.product(way[-1]), scale, shift[0] if shift else None)


def _scales_before(readers: Readers) -> None:
    """(c x) B = x (c B), c one number or one per row."""
    for node in readers.nodes:
        scaled = readers.factor(node)
        ways = readers.behind(node.output[0]) if scaled is not None else None
        if scaled is None or not ways:
            continue
        for way in ways:
            product = readers.product(way[-1])
            _replace(readers.graph, readers.graph.value(scaled[0]), way, product, scaled[1], None)


def _slices(readers: Readers) -> None:
    """Where x B + C is split into columns, make each slice with its own columns of B and C."""
    graph = readers.graph
    for node in readers.nodes:
        cut = _cut(readers, node)
        if cut is None or readers.kept.intersection(node.output):
            continue
        axis, starts = cut
        maker, perm, shape = _unfolded(readers, node)
        product = readers.product(maker)
        if product is None or product.node.output[0] in readers.kept:
            continue
        axis = perm[axis]
        inner = math.prod(shape[axis + 1 :])
        if inner * shape[axis] != product.weight.shape[1] or inner * int(np.diff(starts).min()) < NARROWEST:
            continue
        made = []
        for start, stop, name in zip(starts, starts[1:], node.output, strict=False):
            part = _write(
                graph, graph.value(product.node.input[0]), product.slice(start * inner, stop * inner)
            )
            part = _reshape(part, (*shape[:axis], stop - start, *shape[axis + 1 :]))
            if perm != sorted(perm):
                part = _transpose(part, perm)
            made.append(_reshape(part, graph.value(name).shape))
        _become(graph, node, *made)


def _cut(readers: Readers, node: onnx.NodeProto) -> tuple[int, list[int]] | None:
    """The axis along which a Split, or a Gather of one place, cuts a value, and where."""
    whole = readers.value(node.input[0]) if key(node) in (("", "Split"), ("", "Gather")) else None
    if whole is None:
        return None
    axis = next((a.i for a in node.attribute if a.name == "axis"), 0) % whole.rank
    if node.op_type == "Split":
        parts = [readers.value(name) for name in node.output]
        sizes = [part.shape[axis] for part in parts if part is not None]
        every = len(sizes) == len(parts) and readers.only(whole.name)
        return (axis, np.cumsum([0, *sizes]).tolist()) if every else None
    places = []
    for other in readers.of(whole.name):
        index = readers.graph.array(other.input[1]) if key(other) == ("", "Gather") else None
        same = axis == next((a.i for a in other.attribute if a.name == "axis"), 0) % whole.rank
        if index is None or index.size != 1 or not same:
            return None
        places += [int(index.item()) % whole.shape[axis]] if other is node else []
    return (axis, [places[0], places[0] + 1]) if places else None


def _unfolded(
    readers: Readers, node: onnx.NodeProto
) -> tuple[onnx.NodeProto | None, list[int], tuple[int, ...]]:
    """What makes the value that is cut, but for a permutation and a reshaping; those two."""
    graph = readers.graph
    value = graph.value(node.input[0])
    perm, shape, maker = list(range(value.rank)), value.shape, graph.producer.get(value.name)
    if maker is not None and key(maker) == ("", "Transpose"):
        perm = permutation(maker, value.rank)
        value = graph.value(maker.input[0])
        shape, maker = value.shape, graph.producer.get(value.name)
        if not readers.only(value.name):
            return None, perm, shape
    if maker is not None and key(maker) == ("", "Reshape"):
        name, maker = maker.input[0], graph.producer.get(maker.input[0])
        if not readers.only(name):
            return None, perm, shape
    return maker, perm, shape


def _replace(
    graph: Graph, x: Value, way: Way, product: Product | None, scale: np.ndarray, shift: np.ndarray | None
) -> None:
    """Lead x the way to a product that takes in a scale and a shift of x, and put that in its place."""
    assert product is not None
    for node in way[:-1]:
        x = _again(node, x)
    _become(graph, product.node, _write(graph, x, product.rows(scale, shift)))


def _along(graph: Graph, way: Way, product: Product) -> Value:
    """What a product makes, at the other end of the way."""
    value = _write(graph, graph.value(product.node.input[0]), product)
    for node in reversed(way[:-1]):
        value = _again(node, value)
    return value


def _write(graph: Graph, x: Value, product: Product) -> Value:
    inputs = [x, graph.constant(product.weight.astype(np.float32))]
    if product.shift.ndim:
        inputs.append(graph.constant(product.shift.astype(np.float32)))
    return graph.emit("Gemm", inputs, (x.shape[0], product.weight.shape[1]), early=True)


def _scaled(value: Value, factor: float) -> Value:
    return value.graph.emit("Mul", [value, value.graph.lift(factor)], value.shape, early=True)


def _reshape(value: Value, shape: tuple[int, ...]) -> Value:
    graph = value.graph
    if shape == value.shape:
        return value
    return graph.emit("Reshape", [value, graph.integers(shape)], shape, early=True)


def _transpose(value: Value, perm: list[int]) -> Value:
    sizes = [value.shape[k] for k in perm]
    return value.graph.emit("Transpose", [value], sizes, early=True, perm=perm)


def _again(node: onnx.NodeProto, value: Value) -> Value:
    """Do to a value what a node on a way does."""
    if node.op_type == "Transpose":
        return _transpose(value, permutation(node, value.rank))
    return _reshape(value, value.graph.value(node.output[0]).shape)


def _become(graph: Graph, node: onnx.NodeProto, *values: Value) -> None:
    """Let nodes that were just written make the outputs of one of the model's, in its place."""
    makers = [graph.producer[value.name] for value in values]
    for maker, name in zip(makers, node.output, strict=True):
        graph.replace(maker)
        maker.output[0] = name
    graph.replace(node, *makers)
