"""Convolutions of 1 to 3 spatial dimensions, with groups, strides and dilations.

A convolution is linear in its input, so its gradient is the transposed linear map, whatever the input.
"""

from __future__ import annotations

import math

import numpy as np

from .. import layout
from ..value import Value
from .registry import Gradients, Node, rule

SPARE = 128
"""So many wasted products for each entry of dx still take less time than ConvTranspose."""


class Window:
    """Strides, dilations, pads and kernel of a convolution, one entry per spatial dimension."""

    def __init__(self, node: Node, kernel: tuple[int, ...]) -> None:
        n = len(kernel)
        pads = node.integers("pads", [0] * 2 * n)
        self.kernel = list(kernel)
        self.strides = node.integers("strides", [1] * n)
        self.dilations = node.integers("dilations", [1] * n)
        self.before, self.after = pads[:n], pads[n:]
        self.reach = [d * (k - 1) for d, k in zip(self.dilations, kernel, strict=True)]
        """Distance from a window's first entry to its last."""


@rule("Conv")
def conv(node: Node, dy: Value) -> Gradients:
    """y[o] = sum_ik w[o,i,k] x[i, s t + d k - p]; dx is the transposed convolution of dy with w.

    With stride 1 that is again a convolution, of dy padded by d (K - 1) - p, with the weight's two
    channel axes exchanged and its kernel reversed; onnxruntime runs it in the blocked layout. With
    stride s every s-th entry of dx is such a convolution, with every s-th entry of the kernel.
    """
    return _conv_gradient(node, dy, node.graph.constant(node.array(1, "weight")))


@rule("ConvInteger", integers=True)
def conv_integer(node: Node, dy: Value) -> Gradients:
    """y = conv(x - zx, w - zw) on integers; dx as for Conv with the weight w - zw."""
    weight = node.array(1, "weight").astype(np.float32)
    zero = node.array(3, "zero point").astype(np.float32) if node.has(3) else np.zeros((), np.float32)
    columns = zero.reshape(-1, *[1] * (weight.ndim - 1)) if zero.size > 1 else zero.reshape(())
    return _conv_gradient(node, dy, node.graph.constant(weight - columns))


def _conv_gradient(node: Node, dy: Value, kernel: Value) -> Value:
    """The transposed convolution: as a convolution where onnxruntime has a fast one, else as it is."""
    x, weight = node.x, kernel.array
    assert weight is not None
    window = Window(node, weight.shape[2:])
    if all(stride == 1 for stride in window.strides):
        before = [r - p for r, p in zip(window.reach, window.before, strict=True)]
        after = [r - p for r, p in zip(window.reach, window.after, strict=True)]
        if min(before + after) >= 0:
            group = node.integer("group", 1)
            inputs = [dy, node.graph.constant(_reversed(weight, group))]
            return node.graph.emit(
                "Conv", inputs, x.shape, kernel_shape=window.kernel, pads=before + after,
                dilations=window.dilations, group=group,
            )  # fmt: skip
    elif layout.blockable(x) and layout.blockable(dy) and node.integer("group", 1) == 1:
        phases = [Phases(window, k, x.shape[2 + k], dy.shape[2 + k]) for k in range(2)]
        if all(p.possible for p in phases) and _waste(weight, phases) <= SPARE:
            return _by_phases(dy, weight, phases)
    return layout.anchor(_transposed(node, dy, kernel, window))


class Phases:
    """Along one dimension of a transposed convolution: the plain convolution behind every s-th entry.

    From x[s t + k - p]: dx[s m + f] = sum_j w[r + s j] dy[m + a - j] where f + p = s a + r, 0 <= r < s. All
    s of them are put in one kernel, whose entries stand for the offsets a - j.
    """

    def __init__(self, window: Window, axis: int, size: int, reads: int) -> None:
        self.stride, pad = window.strides[axis], window.before[axis]
        self.taps = [
            (phase, (phase + pad) // self.stride - j, k)
            for phase in range(self.stride)
            for j, k in enumerate(range((phase + pad) % self.stride, window.kernel[axis], self.stride))
        ]
        """(phase f, offset a - j, entry of the kernel r + s j)."""
        offsets = [offset for _, offset, _ in self.taps]
        self.first, self.length = min(offsets), max(offsets) - min(offsets) + 1
        self.before = -self.first
        self.after = size // self.stride + self.length - 1 - reads - self.before
        plain = window.dilations[axis] == 1 and size % self.stride == 0
        self.possible = plain and min(self.before, self.after) >= 0


def _waste(weight: np.ndarray, phases: list[Phases]) -> float:
    """Products with a zero of the kernel that holds all phases, for each entry of dx."""
    entries = math.prod(p.stride * p.length for p in phases) - math.prod(weight.shape[2:])
    return entries * len(weight) / math.prod(p.stride for p in phases)


def _by_phases(dy: Value, weight: np.ndarray, phases: list[Phases]) -> Value:
    """The transposed convolution of dy [N, O, H, W] with w [O, I, K, L]: its phases, interleaved."""
    down, across = phases
    out, channels = weight.shape[:2]
    kernel = np.zeros((down.stride, across.stride, channels, out, down.length, across.length), np.float32)
    for row, y, k in down.taps:
        for column, x, j in across.taps:
            kernel[row, column, :, :, y - down.first, x - across.first] = weight[:, :, k, j].T
    kernel = kernel.reshape(-1, *kernel.shape[3:])
    shape = [
        dy.shape[0], len(kernel),
        *(size + p.before + p.after - p.length + 1 for size, p in zip(dy.shape[2:], phases, strict=True)),
    ]  # fmt: skip
    inputs = [dy, dy.graph.constant(kernel)]
    maps = dy.graph.emit(
        "Conv", inputs, shape, kernel_shape=kernel.shape[2:],
        pads=[down.before, across.before, down.after, across.after],
    )  # fmt: skip
    return layout.interleave(maps, down.stride, across.stride)


def _reversed(weight: np.ndarray, group: int) -> np.ndarray:
    """[O, I/g, *K] -> [I, O/g, *K], every kernel reversed."""
    out, per_group, *kernel = weight.shape
    grouped = weight.reshape(group, out // group, per_group, *kernel).swapaxes(1, 2)
    grouped = np.flip(grouped, axis=tuple(range(3, grouped.ndim)))
    return grouped.reshape(group * per_group, out // group, *kernel)


def _transposed(node: Node, dy: Value, kernel: Value, window: Window) -> Value:
    """The transposed convolution, enlarged by the rows at the end that no window reached."""
    covered = [s * (size - 1) + r + 1 - b - a for s, size, r, b, a in zip(
        window.strides, dy.shape[2:], window.reach, window.before, window.after, strict=True)]  # fmt: skip
    missed = [size - c for size, c in zip(node.x.shape[2:], covered, strict=True)]
    return node.graph.emit(
        "ConvTranspose", [dy, kernel], node.x.shape, kernel_shape=window.kernel,
        strides=window.strides, pads=window.before + window.after, dilations=window.dilations,
        output_padding=missed, group=node.integer("group", 1),
    )  # fmt: skip


@rule("ConvTranspose")
def conv_transpose(node: Node, dy: Value) -> Gradients:
    """The transposed map of a transposed convolution is the convolution with the same weight."""
    weight = node.array(1, "weight")
    window = Window(node, weight.shape[2:])
    return node.graph.emit(
        "Conv", [dy, node.input(1)], node.x.shape, kernel_shape=window.kernel, strides=window.strides,
        pads=window.before + window.after, dilations=window.dilations, group=node.integer("group", 1),
    )  # fmt: skip
