"""Models exported for one batch size, widened to another.

Such a model has its batch size written into constants: the targets of reshapes and expansions, and
vectors that were repeated when it was exported. Walking the nodes in order with the new size shows
where one of them no longer fits. The result is a guess, and `agrees` checks it on the model's own scores.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import defs, helper, numpy_helper, shape_inference

from ...artifacts.runtime import make_session
from ...errors import VivavoceError
from ..graph import STANDARD

if TYPE_CHECKING:
    import onnxruntime


def widen(model: onnx.ModelProto, image: str, size: int) -> onnx.ModelProto:
    """A copy for batches of another size.

    Args:
        model: every shape known (from `specialise`), with the image's declared batch size.
        image: name of the input.
        size: the new batch size.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return _Widening(copy, image, size).run()


class _Widening:
    """One walk over a model's nodes, old shapes beside new ones."""

    def __init__(self, model: onnx.ModelProto, image: str, size: int) -> None:
        self.model, self.size = model, size
        infos = (*model.graph.input, *model.graph.value_info, *model.graph.output)
        self.old = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in infos}
        self.constants = {t.name: t for t in model.graph.initializer}
        self.old.update({t.name: list(t.dims) for t in model.graph.initializer})
        tensor = next(v for v in model.graph.input if v.name == image).type.tensor_type
        self.pinned = tensor.shape.dim[0].dim_value
        tensor.shape.dim[0].dim_value = size
        self.types = {v.name: v.type for v in model.graph.input}
        for t in model.graph.initializer:
            self.types[t.name] = helper.make_tensor_type_proto(t.data_type, t.dims)
        self.nodes: list[onnx.NodeProto] = []

    def run(self) -> onnx.ModelProto:
        """Walk, then write the nodes and forget the old shapes."""
        for node in self.model.graph.node:
            if node.op_type in ("Reshape", "Expand") and node.input[1] in self.constants:
                self._retarget(node)
            elif node.op_type == "Concat":
                self._repeat_constants(node)
            self.nodes.append(node)
            self._infer(node)
        copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in self.nodes]
        del self.model.graph.node[:], self.model.graph.value_info[:]
        self.model.graph.node.extend(copies)
        for output in self.model.graph.output:
            output.type.tensor_type.ClearField("shape")
        return self.model

    def _shape(self, name: str) -> list[int] | None:
        """The new shape of a value, if every size of it is known."""
        kind = self.types.get(name)
        if kind is None or not kind.tensor_type.HasField("shape"):
            return None
        dims = kind.tensor_type.shape.dim
        return [d.dim_value for d in dims] if all(d.HasField("dim_value") for d in dims) else None

    def _infer(self, node: onnx.NodeProto) -> None:
        domain = "" if node.domain in STANDARD else node.domain
        opset = next((o.version for o in self.model.opset_import if o.domain in (node.domain, domain)), 1)
        inputs = {name: self.types[name] for name in node.input if name in self.types}
        data = {name: self.constants[name] for name in node.input if name in self.constants}
        try:
            schema = defs.get_schema(node.op_type, opset, domain)
            self.types.update(
                shape_inference.infer_node_outputs(
                    schema, node, inputs, data, opset_imports=list(self.model.opset_import), ir_version=8
                )
            )
        except Exception:  # unknown operator or failed inference: what follows keeps its constants
            return

    def _constant(self, array: np.ndarray, stem: str) -> str:
        name = f"{stem}__batch{self.size}"
        if name not in self.constants:
            tensor = numpy_helper.from_array(array, name)
            self.constants[name] = tensor
            self.types[name] = helper.make_tensor_type_proto(tensor.data_type, tensor.dims)
            self.model.graph.initializer.append(tensor)
        return name

    def _retarget(self, node: onnx.NodeProto) -> None:
        """Multiply the entry of the target that holds the batch."""
        before, after, was = (
            self.old.get(node.input[0]),
            self._shape(node.input[0]),
            self.old.get(node.output[0]),
        )
        if before is None or after is None or was is None or before == after:
            return
        axis = next(k for k in range(len(before)) if before[k] != after[k])
        inner = math.prod(before[axis + 1 :])
        tails = [math.prod(was[k + 1 :]) for k in range(len(was))]
        same = [k for k, tail in enumerate(tails) if tail == inner and was[k] == before[axis]]
        holding = [
            k for k, tail in enumerate(tails)
            if tail <= inner and was[k] * tail >= inner * before[axis] and was[k] % self.pinned == 0
        ]  # fmt: skip
        for k in [*same, *holding][:1]:  # of several, the entry that is the batch and nothing else
            target = list(was)
            target[k] = was[k] * after[axis] // before[axis]
            node.input[1] = self._constant(np.array(target, np.int64), f"{node.output[0]}__shape")

    def _repeat_constants(self, node: onnx.NodeProto) -> None:
        """Repeat the parts that were as long as the old batch (a class token, say)."""
        shapes = [self._shape(name) for name in node.input]
        axis = next(a.i for a in node.attribute if a.name == "axis")
        widths = {shape[0] for shape in shapes if shape}
        if axis == 0 or len(widths) != 2 or self.size not in widths:
            return
        for k, shape in enumerate(shapes):
            if shape and shape[0] == self.pinned:
                target = self._constant(
                    np.array([self.size, *shape[1:]], np.int64), f"{node.output[0]}__part{k}"
                )
                first = self._first_row(node.input[k])
                name = f"{node.input[k]}__repeated"
                self.nodes.append(helper.make_node("Expand", [first, target], [name]))
                self._infer(self.nodes[-1])
                node.input[k] = name

    def _first_row(self, name: str) -> str:
        if self.pinned == 1:
            return name
        bounds = [self._constant(np.array([k]), f"bound{k}") for k in (0, 1)]
        self.nodes.append(
            helper.make_node("Slice", [name, bounds[0], bounds[1], bounds[0]], [f"{name}__first"])
        )
        self._infer(self.nodes[-1])
        return f"{name}__first"


def agrees(pinned: onnx.ModelProto, widened: onnx.ModelProto, image: str) -> bool:
    """Whether a widened model scores random images as the pinned one does, a batch at a time."""
    one, many = (_load(model) for model in (pinned, widened))
    if one is None or many is None:
        return False
    shape, size = [[d.dim_value for d in v.type.tensor_type.shape.dim]
                   for v in (_find(widened, image), _find(pinned, image))]  # fmt: skip
    images = np.random.default_rng(0).random(shape, dtype=np.float32)
    try:
        whole = np.asarray(many.run(None, {image: images})[0])
        parts = [
            np.asarray(one.run(None, {image: part})[0]) for part in np.split(images, shape[0] // size[0])
        ]
    except Exception:  # onnxruntime's exceptions have no public base; a model that fails is no match
        return False
    expected = np.concatenate(parts)
    scale = np.abs(expected).max() + 1e-12
    return whole.shape == expected.shape and bool(np.abs(whole - expected).max() <= 1e-3 * scale)


def _find(model: onnx.ModelProto, name: str) -> onnx.ValueInfoProto:
    return next(v for v in model.graph.input if v.name == name)


def _load(model: onnx.ModelProto) -> onnxruntime.InferenceSession | None:
    try:
        return make_session(model.SerializeToString())
    except VivavoceError:
        return None
