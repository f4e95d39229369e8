"""ONNX files without a manifest: inferring what they take and give, and adapting them to the contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..documents import convert, read_toml
from ..errors import VivavoceError
from ..text import plain
from .entry import Entry
from .graph import rename, replace_nodes
from .manifest import Manifest
from .preprocessing import Preprocessing
from .scores import as_rows, find_scores


def with_settings_file(path: Path, options: Preprocessing | None) -> Preprocessing:
    """Fill what `options` leave open from `<model>.toml` next to the model, if that file exists.

    Raises:
        VivavoceError: the file has an unknown name or a value of the wrong type.
    """
    options = options or Preprocessing()
    file = path.with_suffix(".toml")
    if not file.exists():
        return options
    content = read_toml(file, "the settings of a model")
    unknown = sorted(content.keys() - Preprocessing.__dataclass_fields__)
    if unknown:
        known = ", ".join(Preprocessing.__dataclass_fields__)
        raise VivavoceError(f"{file}: unknown setting {plain(unknown[0])!r}; the settings are {known}")
    settings = convert(content, Preprocessing, str(file))
    given = options.given
    if settings.classes and "classes" not in given:
        given["classes"] = str(file.parent / settings.classes)
    return replace(settings, **given)


def adapt(
    model: onnx.ModelProto, path: Path, options: Preprocessing
) -> tuple[onnx.ModelProto, Manifest, bool, str | None]:
    """Give a preprocessing model the contract's input `image` and output `scores`.

    Preprocessing becomes nodes in front of the graph, so that everything downstream, gradients
    included, sees images [N, C, H, W] in 0..1. A Softmax or LogSoftmax at the end is bypassed: same
    decisions, but scores on the scale of logits, whose gradient does not vanish with confidence.

    Returns:
        The adapted graph, its manifest, whether the class names are known, and the operator that was
        bypassed at the end (None: none was).

    Raises:
        VivavoceError: the file does not look like a classifier of one image, or needs an option.
    """
    graph = model.graph
    weights = {t.name for t in graph.initializer}
    inputs = [v for v in graph.input if v.name not in weights]
    if len(inputs) != 1:
        raise VivavoceError(
            f"{path}: {len(inputs)} inputs ({_names(inputs)}); a classifier of images takes one: "
            "export the model with the others built in as constants"
        )
    kind = inputs[0].type.tensor_type
    sizes = [d.dim_value if d.dim_value > 0 else None for d in kind.shape.dim]
    entry = Entry.understand(inputs[0].name, sizes, kind.elem_type, path, options)
    found = find_scores(model, path, options.output_name, options.classes)
    adapted = onnx.ModelProto()
    adapted.CopyFrom(model)
    own = {"image": "vivavoce/own_image", "scores": "vivavoce/own_scores"}
    for taken, free in own.items():
        rename(adapted.graph, taken, free)
    scores = own.get(found.value, found.value)
    if not found.rows:
        scores = as_rows(adapted.graph, scores, len(found.names))
    _prepend(adapted.graph, own.get(inputs[0].name, inputs[0].name), entry)
    last = helper.make_node("Cast", [scores], ["scores"], name="vivavoce/scores", to=TensorProto.FLOAT)
    adapted.graph.node.append(last)
    del adapted.graph.output[:]
    adapted.graph.output.append(
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, [entry.batch, len(found.names)])
    )
    manifest = entry.manifest(found.names, path, options)
    return adapted, manifest, found.named, found.bypassed


def _prepend(graph: onnx.GraphProto, entrance: str, entry: Entry) -> None:
    """Put `image` and the preprocessing nodes before the model's own input."""
    nodes, current = [], "image"

    def step(operator: str, *constants: np.ndarray, **attributes: Any) -> None:
        nonlocal current
        made = f"vivavoce/{operator.lower()}_{len(nodes)}"
        names = [f"{made}_{k}" for k in range(len(constants))]
        graph.initializer.extend(numpy_helper.from_array(a, n) for a, n in zip(constants, names, strict=True))
        nodes.append(helper.make_node(operator, [current, *names], [made], name=made, **attributes))
        current = made

    def column(values: Sequence[float]) -> np.ndarray:
        return np.array(values, np.float32).reshape(1, -1, 1, 1)

    if entry.scale != 1:
        step("Mul", np.array(entry.scale, np.float32))
    if any(entry.mean):
        step("Sub", column(entry.mean))
    if any(s != 1 for s in entry.std):
        step("Div", column(entry.std))
    if entry.reverse:
        step("Gather", np.arange(entry.channels)[::-1].astype(np.int64), axis=1)
    if entry.nhwc:
        step("Transpose", perm=[0, 2, 3, 1])
    if entry.shape is not None:
        step("Reshape", np.array(entry.shape, np.int64))
    if entry.element != TensorProto.FLOAT:
        step("Cast", to=entry.element)
    nodes.append(helper.make_node("Identity", [current], [entrance], name="vivavoce/input"))
    replace_nodes(graph, [*nodes, *graph.node])
    kept = [v for v in graph.input if v.name != entrance]
    del graph.input[:]
    shape = [entry.batch, entry.channels, entry.height, entry.width]
    graph.input.extend([helper.make_tensor_value_info("image", TensorProto.FLOAT, shape), *kept])


def _names(values: Sequence[onnx.ValueInfoProto]) -> str:
    return ", ".join(v.name for v in values)
