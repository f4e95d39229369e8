"""The sanity check of Adebayo et al. 2018: an explanation must change when the weights become random."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import onnx
from onnx import numpy_helper

from ...artifacts.graph import consumed
from ...artifacts.onnx_model import OnnxModel

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Operators whose weights become random."""
SHARES = (0.25, 0.5, 0.75, 1.0)
"""How many of the layers are random at each stage after the first, which is the last layer alone."""


class Stage(NamedTuple):
    """A model whose last layers have random weights."""

    layers: int
    """How many."""
    of: int
    model: OnnxModel


def randomised(model: OnnxModel, seed: int) -> Iterator[Stage]:
    """The model with more and more layers random, from the output to the image (cascading randomisation).

    A random weight is normal, with the mean and standard deviation of the layer's own. Nothing is yielded for
    models whose weights are not floats in the file, such as int8 ones.
    """
    names = _weights(model)
    stages = sorted({min(1, len(names)), *(math.ceil(share * len(names)) for share in SHARES)} - {0})
    rng = np.random.default_rng(seed)
    graph, done = onnx.ModelProto(), 0
    graph.CopyFrom(model.graph)
    tensors = {t.name: t for t in graph.graph.initializer}
    for count in stages:
        for name in names[done:count]:
            weights = numpy_helper.to_array(tensors[name])
            drawn = rng.normal(weights.mean(dtype=np.float64), weights.std(dtype=np.float64), weights.shape)
            tensors[name].CopyFrom(numpy_helper.from_array(drawn.astype(weights.dtype), name))
        done = count
        yield Stage(count, len(names), _with_graph(model, graph))


def _with_graph(model: OnnxModel, graph: onnx.ModelProto) -> OnnxModel:
    other = copy.copy(model)
    other.__dict__.pop("session", None)
    other.graph = onnx.ModelProto()
    other.graph.CopyFrom(graph)
    return other


def _weights(model: OnnxModel) -> list[str]:
    """Names of the layers' weights, from the output to the image; what compares labels is no layer."""
    graph = model.graph.graph
    floats = {t.name for t in graph.initializer if t.data_type == onnx.TensorProto.FLOAT and len(t.dims) > 1}
    wanted, found = {"label" if model.manifest.label else "scores"}, []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            wanted |= consumed(node)
            if node.op_type in WEIGHTED:
                found += [name for name in node.input if name in floats]
    return list(dict.fromkeys(found))


def rank_correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Spearman's correlation of heatmaps [N, H, W] over pixels: float64 [N]; NaN if one is constant."""
    ranks = [np.stack([_ranks(m.ravel()) for m in maps]) for maps in (one, other)]
    centred = [r - r.mean(1, keepdims=True) for r in ranks]
    sizes = np.sqrt((centred[0] ** 2).sum(1) * (centred[1] ** 2).sum(1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return (centred[0] * centred[1]).sum(1) / sizes


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks, equal values sharing their mean rank."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]
