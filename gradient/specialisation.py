"""One model, prepared for whatever batch size is asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import helper

from ..artifacts.graph import consumed
from ..artifacts.sessions import give_back
from ..errors import VivavoceError
from ..text import plain
from .preparation import normalise, specialise
from .preparation.batch import agrees, widen
from .preparation.marking import mark
from .preparation.shapes import infer


class Specialiser:
    """Fixes the shapes of one model.

    A model with a declared batch size is prepared for that one and then widened; if it cannot be
    widened (its scores change), `step` is its own batch size and no other can be asked for.

    Of the weights it keeps no copy: what it prepares for one shape it makes again for the next one.

    Args:
        model: as it was read; it must stay as it is.
        image: name of the input; `image` also stands for the only input of a model that names it otherwise.
        outputs: names of the outputs to keep.
        of: a value to keep apart from all simplification, if any.

    Raises:
        VivavoceError: an input, output or value is not there, or the value cannot have a gradient.
    """

    def __init__(self, model: onnx.ModelProto, image: str, outputs: list[str], of: str | None = None) -> None:
        self._source, self._outputs, self._of = model, outputs, of
        first, self.quantised = normalise(model, outputs)
        self.image = _input_name(first, image)
        self._next: onnx.ModelProto | None = self._finished(first)
        inputs = list(first.graph.input)
        tensor = next(v for v in inputs if v.name == self.image).type.tensor_type
        self.others = {
            v.name: np.dtype(helper.tensor_dtype_to_np_dtype(v.type.tensor_type.elem_type))
            for v in inputs
            if v.name != self.image
        }
        """Types of the further inputs that the model reads."""
        self.dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.elem_type))
        """Type of the input."""
        dims = tensor.shape.dim if tensor.HasField("shape") else [onnx.TensorShapeProto.Dimension()] * 2
        self._ranked, self._dims = tensor.HasField("shape"), [d.dim_value for d in dims]
        self.rest = tuple(self._dims[1:]) if all(size > 0 for size in self._dims[1:]) else None
        """Declared sizes after the batch, None where one is left open."""
        self.declared = max([*self._dims[:1], 0])  # some writers say -1 for any
        self._pinned: dict[tuple[int, ...], onnx.ModelProto] = {}
        self._checked: dict[tuple[int, ...], bool] = {}

    def sizes(self, shape: Sequence[int] | None = None) -> tuple[int, ...]:
        """The input's sizes after the batch: those given, or those declared.

        Raises:
            VivavoceError: the model leaves one open and none are given, or those given are not its.
        """
        known = [max(size, 0) for size in self._dims[1:]]
        shown = ", ".join(str(size or "any") for size in known)
        if shape is None:
            if self.rest is None:
                raise VivavoceError(
                    f"the model leaves a size open in its input `{plain(self.image)}` ({shown}); give all "
                    "sizes after the batch"
                )
            return self.rest
        fits = len(shape) == len(known) and all(a in (0, b) for a, b in zip(known, shape, strict=False))
        if self._ranked and not (fits and min(shape, default=1) > 0):
            given = ", ".join(map(str, shape))
            raise VivavoceError(
                f"the input `{plain(self.image)}` has the sizes {shown} after the batch, not {given}"
            )
        return tuple(shape)

    def step(self, rest: tuple[int, ...]) -> int | None:
        """The only batch size that can be run, None if any can."""
        if not self.declared:
            return None
        if rest not in self._checked:
            pinned = self._at_declared(rest)
            wide = widen(pinned, self.image, 3 * self.declared)
            self._checked[rest] = agrees(pinned, wide, self.image)
        return None if self._checked[rest] else self.declared

    def at(self, shape: tuple[int, ...]) -> onnx.ModelProto:
        """The model for images of one shape [N, C, H, W], every other shape known."""
        if not self.declared:
            return self._specialised(shape)
        pinned = self._at_declared(shape[1:])
        if shape[0] == self.declared:
            return pinned
        return infer(widen(pinned, self.image, shape[0]))

    def take(self) -> onnx.ModelProto:
        """The model in order, in float32, with the inputs and outputs that matter; the caller's own."""
        model, self._next = self._next, None
        return model or self._finished(normalise(self._source, self._outputs)[0])

    def _specialised(self, shape: tuple[int, ...]) -> onnx.ModelProto:
        model = specialise(self.take(), self.image, shape)
        give_back()
        return model

    def release(self) -> None:
        """Let go of the model for the declared batch size, which is kept from one shape to the next."""
        self._pinned.clear()

    def _finished(self, model: onnx.ModelProto) -> onnx.ModelProto:
        """Mark the value `of`, and drop inputs that nothing reads, in place."""
        if self._of is not None and self._of != self.image:
            mark(model, self._of, self._source)
        read = {name for node in model.graph.node for name in consumed(node)}
        for unused in [v for v in model.graph.input if v.name != self.image and v.name not in read]:
            model.graph.input.remove(unused)
        return model

    def _at_declared(self, rest: tuple[int, ...]) -> onnx.ModelProto:
        if rest not in self._pinned:
            self._pinned[rest] = self._specialised((self.declared, *rest))
        return self._pinned[rest]


def _input_name(model: onnx.ModelProto, image: str) -> str:
    names = [v.name for v in model.graph.input]
    if image in names:
        return image
    if image == "image" and len(names) == 1:
        return names[0]
    raise VivavoceError(f"the model has no input `{image}`; its inputs are: {', '.join(names)}")
