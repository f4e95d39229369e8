"""Which output of a file holds class scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from ..errors import VivavoceError
from ..text import plain
from .declared import inferred_values
from .embedding import ends_in_l2_norm
from .graph import tensors
from .head import FLOATS, STANDARD, final_activation, passing

SCORE_NAMES = ("logit", "score", "class", "prob", "pred", "softmax")
"""Parts of names that outputs of class scores often have."""
SMALL = 64
"""Entries up to which a constant may be a bound or a factor."""


@dataclass(frozen=True)
class Output:
    """The output that is taken."""

    name: str
    alone: bool
    """Whether the file has no other."""
    chosen: bool
    """Whether the user chose it."""


def choose_output(
    model: onnx.ModelProto, path: Path, chosen: str | None, widths: Sequence[int] | None = None
) -> Output:
    """Choose the output of scores: the one the user names, the only one, or the only one it can be.

    Args:
        model: as read.
        path: the file, for messages.
        chosen: the output's name or, if none is called that, its number from 0.
        widths: choose an output of embeddings instead, with one of these numbers of entries; none: any.

    Raises:
        VivavoceError: there is no such output, or several may be meant; the message suggests one.
    """
    names = [o.name for o in model.graph.output]
    shown = ", ".join(plain(name) for name in names)
    if chosen is not None and chosen in names:
        return Output(chosen, len(names) == 1, True)
    if chosen is not None:
        if chosen.isdecimal() and int(chosen) < len(names):
            return Output(names[int(chosen)], len(names) == 1, True)
        raise VivavoceError(f"{path}: no output {chosen!r}; there are {shown}, or 0 to {len(names) - 1}")
    if len(names) == 1:
        return Output(names[0], True, False)
    likely = _likely(model) if widths is None else _embeddings(model, widths)
    if len(likely) == 1:
        return Output(likely[0], False, False)
    advice = f", such as --output-name {plain(likely[0])}" if likely else ""
    raise VivavoceError(f"{path}: {len(names)} outputs ({shown}); choose one with --output-name{advice}")


def _likely(model: onnx.ModelProto) -> list[str]:
    """Names of the outputs that can be class scores, the likeliest first.

    Of outputs that are made of the same logits, such as logits and their softmax, only the first counts.
    """
    inferred = {v.name: v for v in inferred_values(model)}
    held = constants(model.graph)
    maker = {name: node for node in model.graph.node for name in node.output}
    found: dict[str, tuple[tuple[bool, ...], str]] = {}
    for output in model.graph.output:
        columns = _columns(output) or _columns(inferred.get(output.name, output))
        if not columns or looks_like_embedding(output.name) or ends_in_l2_norm(model, output.name):
            continue
        if _ranked(model, output.name):
            continue
        chain = final_activation(maker, output.name, held.get)
        logits = _origin(maker, chain[0].input[0] if chain else output.name)
        named = any(part in output.name.lower() for part in SCORE_NAMES)
        found.setdefault(logits, ((columns > 1, bool(chain), named), output.name))
    several = any(rank[0] for rank, _ in found.values())
    kept = [(rank, name) for rank, name in found.values() if rank[0] == several]
    return [name for _, name in sorted(kept, key=lambda one: one[0], reverse=True)]


def _embeddings(model: onnx.ModelProto, widths: Sequence[int]) -> list[str]:
    """Names of the outputs that can be embeddings of these widths: those that say so, if there are any."""
    inferred = {v.name: v for v in inferred_values(model)}
    found = []
    for output in model.graph.output:
        tensor = output.type.tensor_type
        if not tensor.shape.dim or not all(d.dim_value > 0 for d in tensor.shape.dim[1:]):
            tensor = inferred.get(output.name, output).type.tensor_type
        fits = not widths or math.prod(d.dim_value for d in tensor.shape.dim[1:]) in widths
        if fits and tensor.elem_type in FLOATS:
            found.append(output.name)
    named = [n for n in found if looks_like_embedding(n) or ends_in_l2_norm(model, n)]
    return named or found


def _origin(maker: Mapping[str, onnx.NodeProto], name: str) -> str:
    """The value whose entries a value has."""
    while (node := maker.get(name)) is not None and node.domain in STANDARD and passing(node):
        name = node.input[0]
    return name


def refuse_ranked(model: onnx.ModelProto, path: Path, output: str, value: str) -> None:
    """Refuse an output of the largest scores alone.

    Args:
        model: as read.
        path: the file, for messages.
        output: the file's name of the output.
        value: its name in the graph.

    Raises:
        VivavoceError: it is one.
    """
    if _ranked(model, value):
        raise VivavoceError(
            f"{path}: the output {plain(output)!r} has the largest scores in order of size (TopK), and "
            "nothing says what class each belongs to; export the model with the scores of all classes"
        )


def _ranked(model: onnx.ModelProto, name: str) -> bool:
    """Whether the entries of a value are the largest of others in order of size."""
    maker = {made: node for node in model.graph.node for made in node.output}
    chain = final_activation(maker, name, constants(model.graph).get)
    node = maker.get(_origin(maker, chain[0].input[0] if chain else name))
    return node is not None and node.domain in STANDARD and node.op_type == "TopK"


def no_scores(path: Path, output: str, what: str) -> VivavoceError:
    """The error about an output that cannot be one of scores, whose type and shape are these words."""
    return VivavoceError(
        f"{path}: the output {plain(output)!r} is {what}; a classifier gives float [N, classes]: "
        "choose such an output with --output-name, or export the model with one"
    )


def _columns(value: onnx.ValueInfoProto) -> int:
    """Scores per image as far as an output's declaration tells; 0: it cannot be one of scores."""
    tensor = value.type.tensor_type
    if tensor.elem_type not in FLOATS or not tensor.HasField("shape"):
        return 0
    sizes = [d.dim_value if d.dim_value > 0 else None for d in tensor.shape.dim]
    rest = [size for size in (sizes[1:] if len(sizes) > 1 else sizes) if size != 1]
    if not sizes or len(rest) > 1:
        return 0
    if sizes == [None]:
        return 1  # one for each image of a batch
    return (rest[0] or 2) if rest else 1


def looks_like_embedding(name: str) -> bool:
    """Whether an output's name says that it holds features, which have no classes."""
    return any(part in name.lower() for part in ("embed", "feature", "hidden"))


def constants(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    """What the small constants of a graph hold, those of Constant nodes included."""
    held = tensors(graph).items()
    return {name: numpy_helper.to_array(t) for name, t in held if math.prod(t.dims) <= SMALL}
