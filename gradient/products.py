"""Matrix products with constant weights, and what surrounds them in a graph."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import onnx
from onnx import helper

from ..artifacts.graph import consumed
from .errors import MissingRule
from .graph import FLOAT, Graph, key
from .value import Value

SMALLEST, LARGEST = 1e-8, 1e8
"""Scales beyond these stay where they are: float32 might not hold the scaled weights."""
Way: TypeAlias = list[onnx.NodeProto]
"""Reshapings and permutations that keep the last axis, and at the end a product."""


@dataclass(frozen=True)
class Product:
    """A Gemm y = x B + C with constant B and C."""

    node: onnx.NodeProto
    weight: np.ndarray
    """B, float64 [K, M]."""
    shift: np.ndarray
    """C, float64 [M], or [] for none."""

    def columns(self, scale: np.ndarray) -> Product:
        """Multiply y by one number or one per column."""
        return replace(
            self, weight=self.weight * scale, shift=self.shift * scale if self.shift.ndim else self.shift
        )

    def rows(self, scale: np.ndarray, shift: np.ndarray | None) -> Product:
        """Take in x = scale z + shift: one number, or one per row of B."""
        scaled = self.weight * (scale.reshape(-1, 1) if scale.ndim else scale)
        return replace(
            self, weight=scaled, shift=self.shift if shift is None else self.shift + shift @ self.weight
        )

    def slice(self, start: int, stop: int) -> Product:
        """Keep some of the columns."""
        shift = self.shift[start:stop] if self.shift.ndim else self.shift
        return replace(self, weight=self.weight[:, start:stop], shift=shift)


class Readers:
    """Who reads what in a graph.

    Args:
        graph: holds the model's nodes.
        kept: names of values that stay what they are.
    """

    def __init__(self, graph: Graph, kept: Iterable[str]) -> None:
        self.graph, self.kept = graph, set(kept)
        self.nodes = [node for node in graph.nodes if not key(node)[0]]
        self._of: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.nodes:
            for name in [*node.input, *(consumed(node) - set(node.input))]:
                self._of.setdefault(name, []).append(node)

    def of(self, name: str) -> list[onnx.NodeProto]:
        """The nodes that read a value, one that reads it twice twice; none for one that stays."""
        return [] if name in self.kept else self._of.get(name, [])

    def only(self, name: str) -> bool:
        """Whether one node reads a value, and nothing else needs it."""
        return len(self.of(name)) == 1

    def value(self, name: str) -> Value | None:
        """A value of floats that depends on the input and has a known shape, else None."""
        try:
            value = self.graph.value(name)
        except MissingRule:
            return None
        return value if value.dtype == FLOAT and value.array is None else None

    def product(self, node: onnx.NodeProto | None) -> Product | None:
        """The node as a product with constants, if it is one."""
        if node is None or key(node) != ("", "Gemm") or self.value(node.output[0]) is None:
            return None
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        constants = [self.graph.array(name) for name in node.input[1:] if name]
        found = [np.asarray(array, np.float64) for array in constants if array is not None]
        if attributes.get("transA") or len(found) < len(constants):
            return None
        weight = (found[0].T if attributes.get("transB") else found[0]) * attributes.get("alpha", 1.0)
        shift = found[1] * attributes.get("beta", 1.0) if found[1:] else np.zeros(())
        if shift.ndim and shift.shape != weight.shape[1:]:
            return None
        return Product(node, weight, shift)

    def behind(self, name: str) -> list[Way] | None:
        """The ways from a value to the products that read it; None if something else reads it as well."""
        ways: list[Way] = []
        for node in self.of(name):
            if list(node.input).index(name) == 0 and list(node.input).count(name) == 1:
                further = [[]] if self.product(node) is not None else self._reshaped(node)
                if further is not None:
                    ways += [[node, *way] for way in further]
                    continue
            return None
        return ways or None

    def _reshaped(self, node: onnx.NodeProto) -> list[Way] | None:
        """The ways on behind a node that keeps the last axis."""
        return self.behind(node.output[0]) if self._keeps_last(node) else None

    def _keeps_last(self, node: onnx.NodeProto) -> bool:
        if key(node) not in (("", "Reshape"), ("", "Transpose")):
            return False
        before, after = self.value(node.input[0]), self.value(node.output[0])
        if before is None or after is None or before.shape[-1:] != after.shape[-1:] or not after.rank:
            return False
        return node.op_type == "Reshape" or permutation(node, before.rank)[-1] == before.rank - 1

    def before(self, name: str, alone: bool = True) -> Way | None:
        """The way back from a value to the product that makes it, if one does.

        Args:
            name: of the value.
            alone: the value has one reader, as all values on the way have.
        """
        maker = self.graph.producer.get(name)
        if maker is None or name in self.kept or (alone and not self.only(name)):
            return None
        if self.product(maker) is not None:
            return [maker]
        way = self.before(maker.input[0]) if self._keeps_last(maker) else None
        return None if way is None else [maker, *way]

    def factor(self, node: onnx.NodeProto) -> tuple[str, np.ndarray] | None:
        """The value that a node scales, and by how much: float64 [], or one per place of the last axis."""
        if key(node) not in (("", "Mul"), ("", "Div")) or node.output[0] in self.kept:
            return None
        result, inverse = self.value(node.output[0]), node.op_type == "Div"
        for k in (1,) if inverse else (0, 1):
            array, other = self.graph.array(node.input[k]), self.value(node.input[1 - k])
            if array is None or result is None or other is None or other.shape != result.shape:
                continue
            if array.size != 1 and array.shape != (*[1] * (array.ndim - 1), *result.shape[-1:]):
                continue
            numbers = array.astype(np.float64).reshape(() if array.size == 1 else -1)
            if moderate(numbers) and (numbers.all() or not inverse):
                return other.name, np.asarray(1 / numbers) if inverse else numbers
        return None


def permutation(node: onnx.NodeProto, rank: int) -> list[int]:
    """What a Transpose does to the axes."""
    return next((list(a.ints) for a in node.attribute), list(range(rank))[::-1])


def moderate(scale: np.ndarray) -> bool:
    """Whether float32 weights can take in a scale."""
    sizes = np.abs(scale)
    return bool(np.all((sizes == 0) | ((sizes >= SMALLEST) & (sizes <= LARGEST))))
