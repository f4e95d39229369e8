"""The scores of a file without a manifest: which value they are, and what the classes are called."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..errors import VivavoceError
from ..files import MEBIBYTE, read_text
from ..text import numbered
from .declared import inferred_values
from .embedding import ends_in_l2_norm
from .head import FLOATS, bypass_softmax
from .names import find_names


@dataclass(frozen=True)
class Scores:
    """Where a graph has its scores."""

    value: str
    names: tuple[str, ...]
    named: bool
    """Whether the names are known; otherwise they are 0, 1, ..."""
    bypassed: str | None
    """The final operator that is left out."""
    rows: bool
    """Whether the value is [N, classes], or else [N, classes, 1, 1], [classes] and the like."""


def find_scores(model: onnx.ModelProto, path: Path, output_name: str | None, classes: str | None) -> Scores:
    """Find the scores; a final softmax is bypassed in place.

    Args:
        model: with nodes in topological order.
        path: the file, for messages.
        output_name: the output to take; None: the only one.
        classes: file with one class name a line. Either this or `output_name` says that the output is one of
            scores, whatever it is called.

    Raises:
        VivavoceError: there are several outputs, or it is not one of scores.
    """
    output = _output([o.name for o in model.graph.output], path, output_name)
    names = None if classes is None else read_names(Path(classes))
    shape = _shape(model, output, None if names is None else len(names), path)
    count = math.prod(size or 1 for size in (shape[1:] if len(shape) > 1 else shape))
    if names is not None and len(names) != count:
        raise VivavoceError(f"{classes}: {len(names)} names, but {path.name} has {count} classes")
    if ends_in_l2_norm(model, output):
        raise VivavoceError(
            f"{path}: gives embeddings, not class scores (its output {output!r} ends in an L2 "
            "normalisation); they have no classes without a label bank: export it with the bank's scores "
            "as its output"
        )
    value, bypassed = bypass_softmax(model, output, count, shape)
    if "embed" in output.lower() and not (output_name or classes or bypassed):
        raise VivavoceError(
            f"{path}: its output is called {output!r}, as embeddings are, which have no classes; if it is "
            f"one of class scores, say so with --output-name {output} or --classes"
        )
    names = names or find_names(model, path, count)
    known = names or tuple(str(k) for k in range(count))
    return Scores(value, known, names is not None, bypassed, rows=len(shape) == 2)


def as_rows(graph: onnx.GraphProto, value: str, count: int) -> str:
    """Add a node that makes [N, count] of scores of another shape; the name of what it makes."""
    made = "vivavoce/rows"
    graph.initializer.append(numpy_helper.from_array(np.array([-1, count], np.int64), f"{made}_shape"))
    graph.node.append(helper.make_node("Reshape", [value, f"{made}_shape"], [made], name=made))
    return made


def _output(names: list[str], path: Path, chosen: str | None) -> str:
    if chosen:
        if chosen not in names:
            raise VivavoceError(f"{path}: no output {chosen!r}; there are {', '.join(names)}")
        return chosen
    if len(names) != 1:
        raise VivavoceError(
            f"{path}: {len(names)} outputs ({', '.join(names)}); choose one with --output-name"
        )
    return names[0]


def _shape(model: onnx.ModelProto, output: str, named: int | None, path: Path) -> list[int | None]:
    """Shape of the scores, [N, classes] or one with more dimensions of 1, None where it is open."""
    value = next(o for o in model.graph.output if o.name == output)
    kind = TensorProto.DataType.Name(value.type.tensor_type.elem_type).lower()
    sizes = _sizes(value)
    if not sizes or any(size is None for size in sizes[1:]):
        sizes = next((s for v in inferred_values(model) if v.name == output and (s := _sizes(v))), sizes)
    if len(sizes) == 2 and sizes[1] is None:
        sizes[1] = named
        if named is None:
            raise VivavoceError(
                f"{path}: the output {output!r} leaves the number of classes open; give --classes, a file "
                "with one class name a line"
            )
    classes = [size for size in (sizes[1:] if len(sizes) > 1 else sizes) if size != 1]
    if value.type.tensor_type.elem_type not in FLOATS or len(classes) > 1 or not sizes or None in classes:
        shown = [size or "N" for size in sizes]
        raise VivavoceError(
            f"{path}: the output {output!r} is {kind} {shown}; a classifier gives float [N, classes]: choose "
            "such an output with --output-name, or export the model with one"
        )
    if not classes:
        raise VivavoceError(
            f"{path}: the output {output!r} has one score per image; a classifier has at least 2 classes: "
            "export it with a score for each class (0 and the logit, for one that answers yes or no)"
        )
    return sizes


def _sizes(value: onnx.ValueInfoProto) -> list[int | None]:
    dims = value.type.tensor_type.shape.dim
    return [d.dim_value if d.dim_value > 0 else None for d in dims]


def read_names(path: Path) -> tuple[str, ...]:
    """The class names in a file with one name a line."""
    lines = read_text(path, 16 * MEBIBYTE).splitlines()
    return numbered(tuple(line.strip() for line in lines if line.strip()))
