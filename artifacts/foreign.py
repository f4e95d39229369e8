"""ONNX files without a manifest: inferring what they take and give, and adapting them to the contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import onnx

from ..documents import convert, read_toml
from ..errors import VivavoceError
from ..text import plain
from .bank_graph import put_bank
from .encoder_bank import bank_of
from .entry import Entry
from .first_layer import first_layer
from .fixing import fix_inputs, keep_needed, needed_values, the_image
from .front import prepend
from .graph import rename, replace_nodes
from .head import Head
from .interface import Declared
from .manifest import Manifest
from .names import find_names, read_names
from .outputs import Output, choose_output
from .preprocessing import Fixed, Preprocessing
from .scores import columns_of, put_scores
from .understood import Understood


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
    if settings.bank and "bank" not in given:
        given["bank"] = str(file.parent / settings.bank)
    if settings.fix:
        beside = {name: _beside(file, value) for name, value in settings.fix.items()}
        given["fix"] = beside | given.get("fix", {})
    return replace(settings, **given)


def _beside(file: Path, value: Fixed) -> Fixed:
    """A value of `fix` in a file of settings; paths are relative to that file."""
    return str(file.parent / value) if isinstance(value, str) else value


CONTRACT = ("image", "scores", "label", "loss", "label_bank")
"""Names that values of an adapted graph have."""


@dataclass(frozen=True)
class Adapted:
    """A file without a manifest under the contract."""

    graph: onnx.ModelProto
    manifest: Manifest
    named: bool
    """Whether the class names are known."""
    understood: Understood


@dataclass(frozen=True)
class Fed:
    """A file without a manifest that takes the input `image`, images [N, C, H, W] in 0..1."""

    graph: onnx.ModelProto
    """With one output."""
    output: Output
    value: str
    """The output's name in the graph."""
    entry: Entry
    image: str
    """The file's name of the input that takes the images."""
    fixed: dict[str, str]
    """The other inputs, and the SHA-256 of the value that each has."""
    renamed: dict[str, str]
    """Names in the graph of the file's values that are not called what they were."""


def feed(
    model: onnx.ModelProto, path: Path, options: Preprocessing, widths: Sequence[int] | None = None
) -> Fed:
    """Put the preprocessing in front of a graph: all downstream, gradients included, sees images in 0..1.

    Args:
        model: as read.
        path: its file, for messages.
        options: how the images are fed, and which output is taken.
        widths: choose an output of embeddings; see `choose_output`.

    Raises:
        VivavoceError: the file does not take one image, or needs an option.
    """
    fed = onnx.ModelProto()
    fed.CopyFrom(model)
    graph = fed.graph
    output = choose_output(fed, path, options.output_name, widths)
    keep_needed(fed, output.name)
    given = needed_values(model, graph, options.fix or {}, path)
    image = onnx.ValueInfoProto.FromString(the_image(graph, given, path).SerializeToString())
    kind = image.type.tensor_type
    sizes = [d.dim_value if d.dim_value > 0 else None for d in kind.shape.dim]
    layer = first_layer(fed, image.name)
    entry = Entry.understand(image.name, sizes, kind.elem_type, path, options, layer)
    repeated, fixed = fix_inputs(graph, image, given, path)
    own = {name: f"vivavoce/own_{name}" for name in CONTRACT[: 2 if widths is None else None]}
    for name, free in own.items():
        rename(graph, name, free)
    prepend(fed, own.get(image.name, image.name), entry)
    for node in repeated:
        node.output[0] = own.get(node.output[0], node.output[0])
    replace_nodes(graph, [*repeated, *graph.node])
    return Fed(fed, output, own.get(output.name, output.name), entry, image.name, fixed, own)


def adapt(model: onnx.ModelProto, path: Path, options: Preprocessing) -> Adapted:
    """Give a preprocessing model the contract's input `image` and output `scores`.

    What makes scores of the output becomes nodes behind the graph; see `put_scores` and, for encoders,
    `put_bank`.

    Raises:
        VivavoceError: the file does not look like a classifier of one image, or needs an option.
    """
    bank = bank_of(options)
    fed = feed(model, path, options, bank.widths if bank else None)
    output, entry = fed.output, fed.entry
    if bank:
        fitted = bank.fitted(columns_of(fed.graph, output.name, fed.value, path), path, output.name)
        put_bank(fed.graph, fed.value, fitted)
        head, names = Head("label bank"), fitted.bank.classes
        manifest = fitted.described(entry.manifest(names, path, options))
    else:
        sure = output.chosen or options.classes is not None
        head, count = put_scores(fed.graph, output.name, fed.value, path, sure)
        names = _names(model, path, options.classes, count)
        manifest = entry.manifest(names or tuple(map(str, range(count))), path, options)
    places = {name: fed.renamed.get(name, name) for name in (fed.image, *fed.fixed)}
    inputs, outputs = (tuple(map(Declared.of, v)) for v in (model.graph.input, model.graph.output))
    understood = Understood(output, head, entry, fed.image, places, fed.fixed, inputs, outputs)
    return Adapted(fed.graph, manifest, names is not None, understood)


def _names(model: onnx.ModelProto, path: Path, classes: str | None, count: int) -> tuple[str, ...] | None:
    """The names of a file's classes; None: they are not known.

    Raises:
        VivavoceError: the list that the user gives is of a different length.
    """
    if classes is None:
        return find_names(model, path, count)
    names = read_names(Path(classes))
    if len(names) != count:
        raise VivavoceError(f"{classes}: {len(names)} names, but {path.name} has {count} classes")
    return names
