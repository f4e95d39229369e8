"""One graph for every batch size, from two that were made for one size each.

Graphs are made with every size known, so a batch size ends up in constants: targets of reshapes and
expansions, bounds of slices. Two graphs of the same model for two batch sizes are the same nodes, and
where their constants differ, they follow the batch: numbers that grow with it in proportion, rows repeated
for each of its entries, or counted from 0 to its end. Those are computed from the input's own size.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ..artifacts.graph import consumed
from ..errors import VivavoceError

FEW, MANY = 3, 5
"""The two batch sizes. A third one tells whether what follows from them holds for others."""
BATCH = "batch"


class FixedBatch(VivavoceError):
    """The graphs for two batch sizes have no common form."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the gradient has no form for every batch size ({reason}); give one, as --batch 8")


def merge(few: onnx.ModelProto, many: onnx.ModelProto, source: str) -> onnx.ModelProto:
    """The graph that both are, with a batch of any size.

    Args:
        few: made for a batch of `FEW`.
        many: the same graph made for a batch of `MANY`.
        source: name of the input whose first size is the batch.

    Raises:
        FixedBatch: they differ by more than the batch size.
    """
    return _Merging(few, many, source).run()


class _Merging:
    """A walk over two graphs, node by node; `few` becomes the result."""

    def __init__(self, few: onnx.ModelProto, many: onnx.ModelProto, source: str) -> None:
        self.few, self.many, self.source = few, many, source
        self.arrays = [{t.name: t for t in m.graph.initializer} for m in (few, many)]
        self.same: dict[str, str] = {}
        """What each value of `many` is called in `few`."""
        self.made: dict[tuple[str, str, bool], str] = {}
        self.nodes: list[onnx.NodeProto] = []
        self.used = {name for node in few.graph.node for name in node.output} | self.arrays[0].keys()
        self.counter = itertools.count(1)

    def run(self) -> onnx.ModelProto:
        """Compare, replace constants, open sizes."""
        graphs = self.few.graph, self.many.graph
        if [n.op_type for n in graphs[0].node] != [n.op_type for n in graphs[1].node]:
            raise FixedBatch("it consists of different operators")
        for ours, theirs in self._interface():
            self.same[theirs.name] = ours.name
        merged = [self._pair(*pair) for pair in zip(graphs[0].node, graphs[1].node, strict=True)]
        for ours, theirs in self._interface():
            _open(ours, theirs)
        del graphs[0].node[:], graphs[0].value_info[:]
        graphs[0].node.extend([*self.nodes, *merged])
        read = {name for node in graphs[0].node for name in consumed(node)}
        kept = [t for t in graphs[0].initializer if t.name in read]
        del graphs[0].initializer[:]
        graphs[0].initializer.extend(kept)
        return self.few

    def _interface(self) -> Iterator[tuple[onnx.ValueInfoProto, onnx.ValueInfoProto]]:
        ours, theirs = self.few.graph, self.many.graph
        yield from zip((*ours.input, *ours.output), (*theirs.input, *theirs.output), strict=True)

    def _pair(self, few: onnx.NodeProto, many: onnx.NodeProto) -> onnx.NodeProto:
        """The node that both are."""
        if _attributes(few) != _attributes(many) or len(few.input) != len(many.input):
            raise FixedBatch(f"{few.op_type} differs")
        node = onnx.NodeProto()
        node.CopyFrom(few)
        for k, (ours, theirs) in enumerate(zip(few.input, many.input, strict=True)):
            if ours in self.arrays[0] and theirs in self.arrays[1]:
                target = few.op_type == "Reshape" and k == 1
                node.input[k] = self._constant(ours, theirs, target)
            elif self.same.get(theirs, "") != ours:
                raise FixedBatch(f"{few.op_type} reads different values")
        self.same.update(zip(many.output, few.output, strict=True))
        return node

    def _constant(self, ours: str, theirs: str, target: bool) -> str:
        """The name of the constant that both are, or of what is computed in its place."""
        key = (ours, theirs, target)
        if key not in self.made:
            tensors = self.arrays[0][ours], self.arrays[1][theirs]
            few, many = map(numpy_helper.to_array, tensors)
            same = few.dtype == many.dtype and few.shape == many.shape
            if same and few.tobytes() == many.tobytes():
                self.made[key] = ours
            elif same and few.dtype == np.int64:
                varying = few != many
                if target and varying.sum() == 1 and (few[~varying] > 0).all():
                    self.made[key] = self._add(np.where(varying, -1, few))
                else:
                    self.made[key] = self._following(few, many)
            else:
                self.made[key] = self._longer(few, many)
        return self.made[key]

    def _following(self, few: np.ndarray, many: np.ndarray) -> str:
        """Integers a + b * batch."""
        slope, rest = np.divmod(many - few, MANY - FEW)
        if rest.any():
            raise FixedBatch("a size does not grow in proportion to the batch")
        shape = [1] if few.ndim == 0 else few.shape
        grown = self._emit("Mul", [self._size(), self._add(slope.reshape(shape))])
        result = self._emit("Add", [grown, self._add((few - slope * FEW).reshape(shape))])
        return self._emit("Squeeze", [result]) if few.ndim == 0 else result

    def _longer(self, few: np.ndarray, many: np.ndarray) -> str:
        """An array that grows along one axis, by equal parts or by counting on."""
        axes = [k for k in range(few.ndim) if few.ndim == many.ndim and few.shape[k] != many.shape[k]]
        if few.dtype != many.dtype or len(axes) != 1 or 0 in few.shape:
            raise FixedBatch("a constant depends on it")
        part = few.take([0], axes[0])
        shapes = np.array(few.shape), np.array(many.shape)
        if all(np.array_equal(a, np.broadcast_to(part, a.shape)) for a in (few, many)):
            return self._emit("Expand", [self._add(part), self._following(*shapes)])
        step = few[1] - few[0] if few.ndim == 1 and few.dtype == np.int64 else 0
        if step and all(np.array_equal(a, few[0] + step * np.arange(len(a))) for a in (few, many)):
            ends = (np.array(few[0] + step * len(a)) for a in (few, many))
            return self._emit("Range", [self._add(few[0]), self._following(*ends), self._add(step)])
        raise FixedBatch("a constant depends on it")

    def _size(self) -> str:
        """The batch size, int64 [1]."""
        key = ("", "", False)
        if key not in self.made:
            self.made[key] = self._emit("Shape", [self.source], start=0, end=1)
        return self.made[key]

    def _emit(self, operator: str, inputs: list[str], **attributes: Any) -> str:
        name = self._fresh(operator.lower())
        self.nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def _add(self, array: np.ndarray) -> str:
        name = self._fresh("constant")
        self.few.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def _fresh(self, stem: str) -> str:
        name = next(n for k in self.counter if (n := f"{stem}__batch_{k}") not in self.used)
        return name


def _attributes(node: onnx.NodeProto) -> list[bytes]:
    return sorted(a.SerializeToString(deterministic=True) for a in node.attribute)


def _open(few: onnx.ValueInfoProto, many: onnx.ValueInfoProto) -> None:
    """Leave the sizes open in which two declarations differ, in place."""
    pairs = zip(few.type.tensor_type.shape.dim, many.type.tensor_type.shape.dim, strict=True)
    for ours, theirs in pairs:
        if (ours.dim_value, theirs.dim_value) == (FEW, MANY):
            ours.dim_param = BATCH
        elif ours.dim_value != theirs.dim_value:
            ours.ClearField("value")
