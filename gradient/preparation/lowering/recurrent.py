"""Recurrent layers, unrolled over their known number of steps.

The rules of products and activations then give the gradient, which is backpropagation through time
(Werbos 1990). Shapes: T steps, batch B, I inputs, H states.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from .registry import Writer, lowering

Activation: TypeAlias = Callable[[str], str]
NUMBERS: dict[str, dict[str, float | None]] = {
    "sigmoid": {}, "tanh": {}, "relu": {}, "softsign": {}, "softplus": {},
    "leakyrelu": {"alpha": 0.01}, "elu": {"alpha": 1.0}, "thresholdedrelu": {"alpha": None},
    "hardsigmoid": {"alpha": 0.2, "beta": 0.5},
    "affine": {"alpha": None, "beta": None}, "scaledtanh": {"alpha": None, "beta": None},
}  # fmt: skip
"""Numbers that each activation function takes from the lists of the node, and their defaults, if any."""
STANDARD = {name.lower(): name for name in (
    "Sigmoid", "Tanh", "Relu", "Softsign", "Softplus", "LeakyRelu", "Elu", "ThresholdedRelu", "HardSigmoid",
)}  # fmt: skip
"""Standard operators of the activation functions that are one."""
MOST_STEPS = 256
"""Steps that are unrolled. Every one adds some forty nodes, which take onnxruntime long to load."""


class Layer:
    """What the recurrent operators have in common: the inputs and attributes of one direction.

    Args:
        w: the node.
        direction: 0, or 1 for the second one of a bidirectional layer.
        gates: parts that the weights hold next to each other.
        functions: activation functions of one direction, by default.

    Raises:
        UnsupportedOperator: weights are computed, or the node has an activation without a rule.
    """

    def __init__(self, w: Writer, direction: int, gates: int, functions: Sequence[str]) -> None:
        self.w, self.direction = w, direction
        self.hidden = w.array(2, "recurrent weight").shape[-1]
        self.weight = w.array(1, "weight")[direction].T  # [I, gates H]
        self.recurrent = w.array(2, "recurrent weight")[direction].T  # [H, gates H]
        zero = np.zeros((2, gates * self.hidden), self.weight.dtype)
        self.bias = w.array(3, "bias")[direction].reshape(2, -1) if w.has(3) else zero
        """That of the input and that of the state."""
        self.backwards = w.get("direction", "forward") == "reverse" or direction == 1
        self.activations = _activations(w, functions, _directions(w))[direction]
        self.steps = w.sizes(0)[0]

    def inputs(self, bias: np.ndarray) -> list[str]:
        """X W + b of each step, [1, B, gates H] each, in the order in which the layer takes them."""
        projected = self.w.emit("Add", self.w.emit("MatMul", self.w.input(0), self.weight), bias)
        if self.steps == 1:
            return [projected]
        parts = self.w.emit_many("Split", self.steps, projected, np.ones(self.steps, np.int64), axis=0)
        return parts[::-1] if self.backwards else parts

    def initial(self, index: int) -> str | None:
        """The state before the first step, [1, B, H] or [1, 1, H]; None if it is zero."""
        if not self.w.has(index):
            return None
        if not self.w.constant(index):
            state = self.w.input(index)
            ends = [np.array([k], np.int64) for k in (self.direction, self.direction + 1, 0)]
            return self.w.emit("Slice", state, *ends) if _directions(self.w) > 1 else state
        state = self.w.array(index, "initial state")[self.direction : self.direction + 1]
        if not state.any():
            return None
        same = (state == state[:, :1]).all()  # one row stands for a batch of any size
        return self.w.emit("Identity", state[:, :1] if same else state)

    def clipped(self, gate: str) -> str:
        """A gate's sum, within the bound that the node sets."""
        bound = self.w.get("clip", 0.0)
        return self.w.emit("Clip", gate, float(-bound), float(bound)) if bound else gate

    def split(self, value: str, count: int) -> list[str]:
        """The parts of [1, B, count H]."""
        if count == 1:
            return [value]
        return self.w.emit_many("Split", count, value, np.full(count, self.hidden), axis=-1)

    def product(self, state: str | None, first: int, last: int) -> str | None:
        """State times the recurrent weights of some gates; None for a state of zero."""
        columns = slice(first * self.hidden, last * self.hidden)
        return None if state is None else self.w.emit("MatMul", state, self.recurrent[:, columns])

    def plus(self, value: str, other: str | None) -> str:
        """The sum; None counts as zero."""
        return value if other is None else self.w.emit("Add", value, other)


Step: TypeAlias = Callable[[Layer], "tuple[list[str], list[str]]"]
"""Runs a layer: the states [1, B, H] after each step, and the last one of each kind of state."""


@lowering("RNN", domain="", sized=True)
def rnn(w: Writer) -> Sequence[str | None]:
    """h_t = f(W x_t + R h_(t-1) + b)."""

    def run(layer: Layer) -> tuple[list[str], list[str]]:
        state, states = layer.initial(5), []
        for x in layer.inputs(layer.bias.sum(0)):
            state = layer.activations[0](layer.clipped(layer.plus(x, layer.product(state, 0, 1))))
            states.append(state)
        return states, states[-1:]

    return _joined(w, run, 1, ["Tanh"])


@lowering("GRU", domain="", sized=True)
def gru(w: Writer) -> Sequence[str | None]:
    """Gated recurrent unit (Cho et al. 2014), with the reset before or after the product with the state.

    z, r = f(W x + R h + b), h' = g(W x + R (r h) + b) or g(W x + r (R h + c) + b); h = (1 - z) h' + z h.
    """
    return _joined(w, _run_gru, 3, ["Sigmoid", "Tanh"])


def _run_gru(layer: Layer) -> tuple[list[str], list[str]]:
    w, size = layer.w, layer.hidden
    after = bool(w.get("linear_before_reset", 0))
    bias, own = layer.bias.sum(0), layer.bias[1, 2 * size :]
    if after:
        bias = bias - np.concatenate([np.zeros(2 * size, bias.dtype), own])
    state, states = layer.initial(5), []
    for x in layer.inputs(bias):
        gates, new = w.emit_many("Split", 2, x, np.array([2 * size, size]), axis=-1)
        gates = layer.plus(gates, layer.product(state, 0, 2))
        z, r = (layer.activations[0](layer.clipped(gate)) for gate in layer.split(gates, 2))
        if after:
            inner = layer.product(state, 2, 3)
            inner = w.emit("Identity", own) if inner is None else w.emit("Add", inner, own)
            new = w.emit("Add", new, w.emit("Mul", r, inner))
        elif state is not None:
            new = layer.plus(new, layer.product(w.emit("Mul", r, state), 2, 3))
        new = layer.activations[1](layer.clipped(new))
        kept = w.emit("Mul", w.emit("Sub", float(1), z), new)
        state = kept if state is None else w.emit("Add", kept, w.emit("Mul", z, state))
        states.append(state)
    return states, states[-1:]


@lowering("LSTM", domain="", sized=True)
def lstm(w: Writer) -> Sequence[str | None]:
    """Long short-term memory (Hochreiter and Schmidhuber 1997), with forget gates and peepholes if given.

    i, o, f = s(W x + R h + p c + b), c' = g(W x + R h + b); c = f c + i c', h = o k(c). o sees the new c.
    """
    return _joined(w, _run_lstm, 4, ["Sigmoid", "Tanh", "Tanh"])


def _run_lstm(layer: Layer) -> tuple[list[str], list[str]]:
    w = layer.w
    peepholes = w.array(7, "peephole weight")[layer.direction].reshape(3, -1) if w.has(7) else None

    def peeped(gate: str, cell: str | None, k: int) -> str:
        if peepholes is not None and cell is not None:
            gate = w.emit("Add", gate, w.emit("Mul", cell, peepholes[k]))
        return layer.activations[0](layer.clipped(gate))

    state, cell, states = layer.initial(5), layer.initial(6), []
    for x in layer.inputs(layer.bias.sum(0)):
        i, o, f, new = layer.split(layer.plus(x, layer.product(state, 0, 4)), 4)
        i = peeped(i, cell, 0)
        f = w.emit("Sub", float(1), i) if w.get("input_forget", 0) else peeped(f, cell, 2)
        new = w.emit("Mul", i, layer.activations[1](layer.clipped(new)))
        cell = new if cell is None else w.emit("Add", w.emit("Mul", f, cell), new)
        state = w.emit("Mul", peeped(o, cell, 1), layer.activations[2](cell))
        states.append(state)
    return states, [states[-1], cell or ""]


def _directions(w: Writer) -> int:
    return 2 if w.get("direction", "forward") == "bidirectional" else 1


def _joined(w: Writer, run: Step, gates: int, functions: Sequence[str]) -> Sequence[str | None]:
    """The outputs of all directions: the states [T, directions, B, H], and the last ones [directions, B, H].

    Raises:
        UnsupportedOperator: the steps are not the first dimension, too many, or not the same for all inputs.
    """
    if w.get("layout", 0):
        raise w.refusal("its batch is the first dimension, not the steps; export it with layout 0")
    steps = w.sizes(0)[0]
    if w.has(4) and not (w.array(4, "lengths of the sequences") == steps).all():
        raise w.refusal(f"its sequences are shorter than their {steps} steps; cut them before")
    if steps > MOST_STEPS:
        raise w.refusal(f"it has {steps} steps; at most {MOST_STEPS} are unrolled")
    layers = [Layer(w, k, gates, functions) for k in range(_directions(w))]
    found = [run(layer) for layer in layers]
    outputs: list[str | None] = [None]
    if w.wants(0):
        rows = []
        for layer, (states, _) in zip(layers, found, strict=True):
            states = states[::-1] if layer.backwards else states
            joined = w.emit("Concat", *states, axis=0)
            rows.append(w.emit("Unsqueeze", joined, np.array([1])))
        outputs = [w.emit("Concat", *rows, axis=1)]
    return [*outputs, *(w.emit("Concat", *last, axis=0) for last in zip(*(f[1] for f in found), strict=True))]


def _activations(w: Writer, defaults: Sequence[str], directions: int) -> list[list[Activation]]:
    """The activation functions of each direction.

    Raises:
        UnsupportedOperator: one has no rule.
    """
    names = [name.decode() for name in w.get("activations", [])] or list(defaults) * directions
    numbers = {kind: list(w.get(f"activation_{kind}", [])) for kind in ("alpha", "beta")}
    made: list[Activation] = []
    for name in names:
        known = NUMBERS.get(name.lower())
        if known is None:
            raise w.refusal(f"its activation {name} has no rule")
        values = {kind: numbers[kind].pop(0) if numbers[kind] else known[kind] for kind in known}
        if None in values.values():
            raise w.refusal(f"its activation {name} does not say its alpha or beta")
        made.append(_activation(w, name.lower(), values))
    per = len(made) // directions
    return [made[k * per : (k + 1) * per] for k in range(directions)]


def _activation(w: Writer, name: str, numbers: dict[str, Any]) -> Activation:
    if name == "affine":
        return lambda x: w.emit("Add", w.emit("Mul", x, float(numbers["alpha"])), float(numbers["beta"]))
    if name == "scaledtanh":
        return lambda x: w.emit(
            "Mul", w.emit("Tanh", w.emit("Mul", x, float(numbers["beta"]))), float(numbers["alpha"])
        )
    return lambda x: w.emit(STANDARD[name], x, **numbers)
