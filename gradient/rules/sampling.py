"""Sampling an image at computed places, as spatial transformers do (Jaderberg et al. 2015)."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable
from functools import reduce
from typing import NamedTuple

import numpy as np

from ..errors import MissingRule
from ..graph import INT
from ..value import Value
from .registry import Gradients, Node, rule

CUBIC = -0.75
"""Coefficient a of the cubic convolution kernel (Keys 1981), as the standard has it."""


class Tap(NamedTuple):
    """One of the entries that a sample reads along one dimension."""

    weight: Value
    slope: Value | None
    """Derivative of the weight by the place; None where it is zero."""
    entry: Value
    """The entry, int64, within the image."""


@rule("GridSample")
def grid_sample(node: Node, dy: Value) -> Gradients:
    """y[p] = sum_k w_k(g[p]) x[i_k(g[p])]; dx[i] = sum of w dy over its uses; dg[p] = sum_k w_k' x[i_k] dy.

    The weight of an entry is a product of one for each dimension. Entries of a border are copies of others or
    zero, so that the weights alone depend on the place. The nearest entry has a weight of one.
    """
    x, grid, rank = node.x, node.input(1), node.x.rank - 2
    batch, channels, sizes = x.shape[0], x.shape[1], x.shape[2:]
    count = math.prod(grid.shape[1:-1])
    places = grid.reshape(batch, 1, count, rank)
    taps = [_taps(node, places.slice(3, rank - 1 - k, rank - k).reshape(batch, 1, count), sizes[k])
            for k in range(rank)]  # fmt: skip
    rows, dy = x.reshape(batch, channels, math.prod(sizes)), dy.reshape(batch, channels, count)
    parts, indices, slopes = [], [], []
    for combined in itertools.product(*taps):
        index = combined[0].entry
        for tap, size in zip(combined[1:], sizes[1:], strict=True):
            index = index * size + tap.entry
        index = index.expand(batch, channels, count)
        weights = [tap.weight for tap in combined]
        parts.append(reduce(operator.mul, weights, dy))
        indices.append(index)
        felt = (dy * node.graph.emit("GatherElements", [rows, index], dy.shape, axis=2)).sum([1])
        slopes.append([reduce(operator.mul, [*weights[:k], tap.slope, *weights[k + 1 :]], felt)
                       for k, tap in enumerate(combined) if tap.slope is not None])  # fmt: skip
    inputs = [node.graph.zeros(*rows.shape), node.graph.concat(indices, 2), node.graph.concat(parts, 2)]
    dx = node.graph.emit("ScatterElements", inputs, rows.shape, axis=2, reduction="add").reshape(*x.shape)
    totals = [reduce(operator.add, some) for some in zip(*slopes, strict=True)][::-1]
    if not totals:
        return [dx, None]
    return [dx, node.graph.concat([s.reshape(batch, count, 1) for s in totals], 2).reshape(*grid.shape)]


def _taps(node: Node, place: Value, size: int) -> list[Tap]:
    """The entries read along one dimension for places of -1..1, [N, 1, P] each.

    Raises:
        MissingRule: an unknown mode.
    """
    aligned, mode = node.integer("align_corners"), node.text("mode", "linear")
    stretch = (size - 1) / 2 if aligned else size / 2
    x = place * stretch + (size - 1) / 2
    bound = _bounds(node, size)
    if mode == "nearest":
        index, inside = bound(x.map("Round"))
        return [Tap(inside, None, index)]
    if mode not in ("linear", "bilinear", "cubic", "bicubic"):
        raise MissingRule(f"its mode {mode} has no rule")
    low = x.map("Floor")
    t, taps = x - low, []
    for offset, (weight, slope) in _kernel(t, cubic="cubic" in mode):
        index, inside = bound(low + offset)
        taps.append(Tap(weight * inside, slope * inside * stretch, index))
    return taps


def _kernel(t: Value, *, cubic: bool) -> list[tuple[float, tuple[Value, Value]]]:
    """Offset, weight and its derivative by t of each entry read, for a place that is t behind the first."""
    if not cubic:
        one = t.graph.constant(np.ones((1, 1, 1), np.float32))
        return [(0.0, (1 - t, -one)), (1.0, (t, one))]
    a = CUBIC

    def near(s: Value) -> tuple[Value, Value]:
        """Of an entry at a distance s < 1."""
        return ((a + 2) * s - (a + 3)) * s * s + 1, (3 * (a + 2) * s - 2 * (a + 3)) * s

    def far(s: Value) -> tuple[Value, Value]:
        """Of one at 1 < s < 2."""
        return ((a * s - 5 * a) * s + 8 * a) * s - 4 * a, (3 * a * s - 10 * a) * s + 8 * a

    def mirrored(pair: tuple[Value, Value]) -> tuple[Value, Value]:
        return pair[0], -pair[1]

    return [(-1.0, far(t + 1)), (0.0, near(t)), (1.0, mirrored(near(1 - t))), (2.0, mirrored(far(2 - t)))]


def _bounds(node: Node, size: int) -> Callable[[Value], tuple[Value, Value]]:
    """How whole places along a dimension become entries of the image, and 0 for those that count as zero.

    Raises:
        MissingRule: an unknown padding.
    """
    padding, aligned = node.text("padding_mode", "zeros"), node.integer("align_corners")
    one = node.graph.constant(np.ones((1, 1, 1), np.float32))

    def clamped(place: Value) -> Value:
        return place.map("Clip", 0.0, float(size - 1)).cast(INT)

    def zeros(place: Value) -> tuple[Value, Value]:
        above, below = place.compare("GreaterOrEqual", 0.0), place.compare("LessOrEqual", float(size - 1))
        inside = place.graph.emit("And", [above, below], place.shape, np.dtype(bool))
        return clamped(place), inside.cast()

    def border(place: Value) -> tuple[Value, Value]:
        return clamped(place), one

    def reflection(place: Value) -> tuple[Value, Value]:
        """Of period 2 (n - 1) about the outer entries' centres, or 2 n about their edges."""
        edge = 0 if aligned else 1
        period = float(max(2 * (size - 1 + edge), 1))
        offset = place - (place * (1 / period)).map("Floor") * period
        far = offset.compare("Greater", float(size - 1))
        return clamped(far.where(period - edge - offset, offset)), one

    known = {"zeros": zeros, "border": border, "reflection": reflection}
    if padding not in known:
        raise MissingRule(f"its padding {padding} has no rule")
    return known[padding]
