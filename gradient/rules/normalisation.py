"""Normalisations, with the statistics of inference."""

from __future__ import annotations

import math

import numpy as np

from .. import layout
from ..absorption import centred
from ..errors import MissingRule
from ..linear import contract
from ..value import Value
from .registry import Gradients, Node, rule


@rule("BatchNormalization")
def batch_normalization(node: Node, dy: Value) -> Gradients:
    """y = s (x - m) / (v + e)^(1/2) + b, m and v stored per channel; dx = dy s / (v + e)^(1/2)."""
    if node.integer("training_mode"):
        raise MissingRule("it is in training mode, where one image's scores depend on the others")
    scale, variance = node.array(1, "scale"), node.array(4, "variance")
    slope = scale.astype(np.float64) / np.sqrt(variance.astype(np.float64) + node.number("epsilon", 1e-5))
    if layout.blockable(dy):
        return layout.scale(dy, slope)
    columns = slope.astype(np.float32).reshape(-1, *[1] * (node.x.rank - 2))
    return dy * node.graph.constant(columns)


def _standardised(x: Value, g: Value, epsilon: float) -> Value:
    """Gradient through z = (x - mean(x)) / (var(x) + e)^(1/2) over the last axis, g that of z.

    One LayerNormalization of unit scale gives z and r = (var(x) + e)^(-1/2).
    """
    ones = x.graph.constant(np.ones(x.shape[-1], np.float32))
    statistics = (*x.shape[:-1], 1)
    outputs = [(x.shape, x.dtype), (statistics, x.dtype), (statistics, x.dtype)]
    z, _, r = x.graph.emit_many("LayerNormalization", [x, ones], outputs, axis=-1, epsilon=epsilon)
    return _through(z, r, g)


def _through(z: Value, r: Value, g: Value) -> Value:
    """dx = r (c - z mean(c z)), c = g - mean(g) over the last axis, which leaves mean(g z) as it is."""
    c = centred(g)
    if c is None:
        c = g - g.mean([-1])
    return (c - z * (c * z).mean([-1])) * r


@rule("LayerNormalization")
def layer_normalization(node: Node, dy: Value) -> Gradients:
    """y = s z + b, z standardised over the last axes; see `_standardised`, with g = s dy."""
    x, axis = node.x, node.integer("axis", -1) % node.x.rank
    if len(node.proto.output) == 3 and axis == x.rank - 1 and node.input(1).uniform == 1 and not node.has(2):
        return _through(node.y, node.output(2), dy)
    rows = (*x.shape[:axis], math.prod(x.shape[axis:]))
    g = dy * node.input(1)
    return [_standardised(x.reshape(*rows), g.reshape(*rows), node.number("epsilon", 1e-5)).reshape(*x.shape)]


@rule("InstanceNormalization")
def instance_normalization(node: Node, dy: Value) -> Gradients:
    """y = s z + b, z standardised over the places of each channel."""
    x = node.x
    rows = (*x.shape[:2], math.prod(x.shape[2:]))
    g = dy * _columns(node.input(1), x)
    return [_standardised(x.reshape(*rows), g.reshape(*rows), node.number("epsilon", 1e-5)).reshape(*x.shape)]


@rule("GroupNormalization")
def group_normalization(node: Node, dy: Value) -> Gradients:
    """y = s z + b, z standardised over each group of channels; s per channel (before opset 21 per group)."""
    x, groups, scale = node.x, node.integer("num_groups"), node.input(1)
    if node.graph.opset < 21:
        repeats = x.shape[1] // groups
        scale = scale.reshape(groups, 1).expand(groups, repeats).reshape(x.shape[1])
    rows = (x.shape[0], groups, math.prod(x.shape[1:]) // groups)
    g = dy * _columns(scale, x)
    return [_standardised(x.reshape(*rows), g.reshape(*rows), node.number("epsilon", 1e-5)).reshape(*x.shape)]


def _columns(scale: Value, x: Value) -> Value:
    """One factor per channel, shaped to broadcast against [N, C, ...]."""
    return scale.reshape(x.shape[1], *[1] * (x.rank - 2))


@rule("RMSNormalization")
def rms_normalization(node: Node, dy: Value) -> Gradients:
    """y = s z, z = r x, r = (mean(x^2) + e)^(-1/2) over the last axes; dx = r (g - z mean(g z)), g = s dy."""
    x, axis = node.x, node.integer("axis", -1) % node.x.rank
    axes = range(axis, x.rank)
    r = 1.0 / ((x * x).mean(axes) + node.number("epsilon", 1e-5)).map("Sqrt")
    g, z = dy * node.input(1), x * r
    return [(g - z * (g * z).mean(axes)) * r]


@rule("LRN")
def local_response_normalization(node: Node, dy: Value) -> Gradients:
    """y = x d^(-b), d_c = k + (a / n) sum of x_j^2 over the n channels j around c.

    dx_c = dy_c d_c^(-b) - (2 a b / n) x_c sum of dy_j x_j d_j^(-b-1) over the channels j whose window has c.
    """
    x, n = node.x, node.integer("size")
    alpha, beta, bias = node.number("alpha", 1e-4), node.number("beta", 0.75), node.number("bias", 1.0)
    channels = np.arange(x.shape[1])
    offset = channels[None, :] - channels[:, None]
    window = ((offset >= -((n - 1) // 2)) & (offset <= n // 2)).astype(np.float32)
    d = contract(x * x, 1, window.T) * (alpha / n) + bias
    shrink = d.map("Pow", -beta)
    spread = contract(dy * x * shrink / d, 1, window)
    return dy * shrink - x * spread * (2 * alpha * beta / n)


@rule("LpNormalization")
def lp_normalization(node: Node, dy: Value) -> Gradients:
    """y = x / |x|_p; dx = (dy - h sum_j dy_j y_j) / |x|_p, h = y for p = 2 and sign x for p = 1."""
    x, y, axes = node.x, node.y, [node.integer("axis", -1) % node.x.rank]
    euclidean = node.integer("p", 2) == 2
    norm = x.reduce("ReduceL2" if euclidean else "ReduceL1", axes)
    return (dy - (y if euclidean else x.map("Sign")) * (dy * y).sum(axes)) / norm
