"""A file of any origin under the contract: its preprocessing, label bank and voice in one ONNX file."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import onnx
from onnx import numpy_helper

from ..artifacts import LabelBank, Manifest, open_model
from ..artifacts.manifest import METADATA_KEY, NAME_AUDIO, Input, Names, schema_of
from ..artifacts.normalisation import read_normalisation
from ..artifacts.onnx_file import read_onnx
from ..artifacts.onnx_model import OnnxModel
from ..errors import VivavoceError
from ..files import check_parent, replacing

IMAGES = 16
"""Random images on which the new file is compared with the old one."""
TOLERANCE = 1e-4
"""Largest difference of scores, as a share of their range."""


def bind(model: OnnxModel, output: Path, names: LabelBank | None = None) -> Manifest:
    """Write an opened ONNX file as one that describes itself.

    Args:
        model: with or without a manifest of its own.
        output: the `.onnx` file to write.
        names: the sounds of its class names, a speech bank; None: as the file is.

    Raises:
        VivavoceError: there is nothing to add, a class has no name, or the new file answers differently.
    """
    check(model, output, names is not None)
    manifest = model.manifest
    if model.understood is None:
        graph = read_onnx(model.path)
    else:
        graph = onnx.ModelProto()
        graph.CopyFrom(model.graph)
        manifest = msgspec.structs.replace(manifest, input=_entry(graph, manifest.input))
    if names is not None:
        manifest = _with_names(manifest, graph, names)
    kept = [entry for entry in graph.metadata_props if entry.key != METADATA_KEY]
    del graph.metadata_props[:]
    graph.metadata_props.extend(kept)
    graph.metadata_props.add(key=METADATA_KEY, value=manifest.to_json())
    with replacing(output) as trial:
        try:
            onnx.save(graph, trial)
        except ValueError as error:  # protobuf's bound on one message
            raise VivavoceError(
                f"{output}: with its weights inside the file would be larger than 2 GiB"
            ) from error
        _compare(model, trial, output)
    return manifest


def check(model: OnnxModel, output: Path, speak: bool) -> None:
    """Refuse what cannot be written, or needs no writing; `speak`: whether sounds of names are added.

    Raises:
        VivavoceError: the message says why.
    """
    if output.suffix != ".onnx":
        raise VivavoceError(f"{output}: an .onnx file is exported as .onnx; give --output {output.stem}.onnx")
    check_parent(output)
    if model.understood is None and not speak:
        raise VivavoceError(
            f"{model.path}: this file already describes itself; to add the sounds of its class names, give "
            "--speak"
        )
    if not model.named:
        raise VivavoceError(f"{model.path}: its classes have no names; give them with --classes FILE")
    if speak and model.manifest.label and model.manifest.label.mel:
        raise VivavoceError(f"{model.path}: this model predicts the sounds of its classes itself")


def _entry(graph: onnx.ModelProto, entry: Input) -> Input:
    """The input with the normalisation that the whole graph has: the file may have had some of its own."""
    found = read_normalisation(graph, entry.channels, entry.height, entry.width)
    return entry if found is None else msgspec.structs.replace(entry, std=tuple(1 / g for g in found.gain))


def _with_names(manifest: Manifest, graph: onnx.ModelProto, names: LabelBank) -> Manifest:
    """The manifest of a file with the sounds of its class names, which are put into the graph in place."""
    assert names.mel is not None
    for held in [tensor for tensor in graph.graph.initializer if tensor.name == NAME_AUDIO]:
        graph.graph.initializer.remove(held)
    graph.graph.initializer.append(numpy_helper.from_array(names.labels, NAME_AUDIO))
    about = Names(names.shape, names.mel, names.frames)
    return msgspec.structs.replace(
        manifest, names=about, spoken=names.spoken, schema=schema_of(about, manifest.label)
    )


def _compare(model: OnnxModel, trial: Path, output: Path) -> None:
    """Check that the new file answers as the old one."""
    entry = model.manifest.input
    shape = (IMAGES, entry.channels, entry.height, entry.width)
    images = np.random.default_rng(0).random(shape, dtype=np.float32)
    before, after = (each.answer(images).scores for each in (model, open_model(trial)))
    apart = float(np.abs(before - after).max())
    if not apart <= TOLERANCE * max(float(np.ptp(before)), 1e-12):
        raise VivavoceError(
            f"{output}: the file does not answer as {model.path}: scores differ by {apart:.1e}; nothing was "
            "written"
        )
