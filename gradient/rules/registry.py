"""The table of reverse-mode rules, and what a rule sees of the node it differentiates.

A rule gets a `Node` and `dy`, the gradient of the loss with respect to the node's first output, and
returns the gradient with respect to its first input, or a list with one entry per input (None where
there is none). It may return gradients nobody asked for: unused nodes are dropped at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np
import onnx
from onnx import helper

from ..errors import MissingRule
from ..graph import Graph
from ..value import Value

Gradients: TypeAlias = Value | Sequence[Value | None]
F = TypeVar("F", bound=Callable[..., Value | Sequence[Value | None]])


class Node:
    """A node of the model, with its inputs and outputs as values.

    Args:
        graph: holds the node.
        proto: the node.
        whole: an integer type whose values are seen as floats: a node that moves or picks quantised numbers
            has the same gradient as one that moves or picks floats. None: every value has its own type.
    """

    def __init__(self, graph: Graph, proto: onnx.NodeProto, whole: np.dtype | None = None) -> None:
        self.graph = graph
        self.proto = proto
        self._whole = whole
        self._attributes = {a.name: a for a in proto.attribute}

    def __len__(self) -> int:
        """Number of inputs, omitted ones in the middle included."""
        return len(self.proto.input)

    def has(self, index: int) -> bool:
        """Whether an optional input is given."""
        return index < len(self.proto.input) and bool(self.proto.input[index])

    def input(self, index: int) -> Value:
        """An input that must be there."""
        return self._seen(self.graph.value(self.proto.input[index]))

    def output(self, index: int) -> Value:
        """An output that must be there."""
        return self._seen(self.graph.value(self.proto.output[index]))

    def _seen(self, value: Value) -> Value:
        if value.dtype != self._whole or (value.dtype.itemsize > 2 and value.array is not None):
            return value  # constants of 32 bits and more are indices
        key = ("float", value.name)
        if key not in self.graph.memo:
            array = value.array
            held = value.cast() if array is None else self.graph.constant(array.astype(np.float32))
            self.graph.memo[key] = held
        return self.graph.memo[key]

    @property
    def x(self) -> Value:
        """The first input."""
        return self.input(0)

    @property
    def y(self) -> Value:
        """The first output."""
        return self.output(0)

    def array(self, index: int, name: str) -> np.ndarray:
        """A constant input, called `name` in the operator's specification.

        Raises:
            MissingRule: it depends on the image.
        """
        array = self.graph.array(self.proto.input[index])
        if array is None:
            raise MissingRule(f"its {name} is computed from the image")
        return array

    def optional(self, index: int, name: str) -> np.ndarray | None:
        """A constant input that may be left out."""
        return self.array(index, name) if self.has(index) else None

    def number(self, name: str, default: float = 0.0) -> float:
        """A float attribute."""
        return float(self._attributes[name].f) if name in self._attributes else default

    def integer(self, name: str, default: int = 0) -> int:
        """An integer attribute."""
        return int(self._attributes[name].i) if name in self._attributes else default

    def integers(self, name: str, default: Sequence[int] = ()) -> list[int]:
        """A list of integers."""
        return list(self._attributes[name].ints) if name in self._attributes else list(default)

    def text(self, name: str, default: str = "") -> str:
        """A string attribute."""
        return self._attributes[name].s.decode() if name in self._attributes else default

    def attributes(self) -> dict[str, Any]:
        """All attributes as Python objects, to repeat the node with."""
        return {name: helper.get_attribute_value(a) for name, a in self._attributes.items()}


@dataclass(frozen=True)
class Rule:
    """How to differentiate an operator."""

    function: Callable[..., Gradients]
    estimated: str = ""
    """Empty when the gradient is exact; otherwise what the estimate is."""
    every_output: bool = False
    """The function gets a list, the gradient of each output or None, instead of `dy`."""
    integers: bool = False
    """The function reads integers as what they are; others see quantised numbers as floats."""


RULES: dict[tuple[str, str], Rule] = {}
"""Rule of each (domain, operator)."""


def rule(
    *operators: str, domain: str = "", estimated: str = "", every_output: bool = False, integers: bool = False
) -> Callable[[F], F]:
    """Register a function as the rule of the named operators."""

    def register(function: F) -> F:
        for operator in operators:
            if (domain, operator) in RULES:
                raise ValueError(f"two rules for {operator}")
            RULES[domain, operator] = Rule(function, estimated, every_output, integers)
        return function

    return register
