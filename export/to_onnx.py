"""A contract as one ONNX file."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper

from ..artifacts.manifest import METADATA_KEY, NAME_AUDIO, Manifest
from ..sound.vocoder import add_vocoder, check_sound
from ..train.model import Contract
from .writer import Writer

OPSET = 18
BANK = "label_bank"
OUTPUTS = ("scores", "label", "loss")


def to_onnx(contract: Contract, manifest: Manifest, audio: bool = False) -> Writer:
    """Convert to an ONNX file with dynamic batch and the label bank as initializer `label_bank`.

    With `audio` the vocoder is in it too.

    Returns:
        What writes the file with a manifest.

    Raises:
        VivavoceError: `audio` for labels that are not spectrograms.
    """
    if audio:
        check_sound(manifest.label)
    model = _tidy(_exported(contract, manifest))
    if contract.answers:
        _unfold_bank(model.graph, contract.answers.label_bank.detach().cpu().numpy())
    if contract.name_audio is not None:
        names = contract.name_audio.detach().cpu().numpy()
        model.graph.initializer.append(numpy_helper.from_array(names, NAME_AUDIO))
    if audio and manifest.label:
        add_vocoder(model, manifest.label)

    def write(manifest: Manifest, path: Path) -> None:
        model.producer_version = manifest.training.versions["vivavoce"] if manifest.training else ""
        del model.metadata_props[:]
        entry = model.metadata_props.add()
        entry.key, entry.value = METADATA_KEY, manifest.to_json()
        onnx.save(model, path)

    return write


def _exported(contract: Contract, manifest: Manifest) -> onnx.ModelProto:
    """The file as torch makes it."""
    size = (2, manifest.input.channels, manifest.input.height, manifest.input.width)
    logging.getLogger("onnxscript").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns about its own internals
        program = torch.onnx.export(
            contract,
            (torch.rand(*size),),
            dynamo=True,
            input_names=["image"],
            output_names=list(OUTPUTS if contract.answers else OUTPUTS[:1]),
            dynamic_shapes=({0: torch.export.Dim("N")},),
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    return program.model_proto


def _tidy(model: onnx.ModelProto) -> onnx.ModelProto:
    """Name the bank, and leave the exporter's notes out (they hold paths of this machine)."""
    for part in (*model.graph.node, *model.graph.input, *model.graph.output, *model.graph.value_info,
                 *model.graph.initializer, model.graph):  # fmt: skip
        del part.metadata_props[:]
        part.doc_string = ""
    del model.graph.value_info[:]
    _rename(model.graph, f"answers.{BANK}", BANK)
    model.producer_name = model.graph.name = "vivavoce"
    return model


def _unfold_bank(graph: onnx.GraphProto, bank: np.ndarray) -> None:
    """Make the bank an initializer of its own again: the exporter folds the reshaping of a small one."""
    if any(tensor.name == BANK for tensor in graph.initializer):
        return
    held = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    flat = bank.ravel()
    name = next(n for n, a in held.items() if a.size == bank.size and np.array_equal(a.ravel(), flat))
    folded = next(tensor for tensor in graph.initializer if tensor.name == name)
    shape = numpy_helper.from_array(np.array(folded.dims, np.int64), f"{BANK}_shape")
    graph.initializer.remove(folded)
    graph.initializer.extend([numpy_helper.from_array(bank, BANK), shape])
    graph.node.insert(0, helper.make_node("Reshape", [BANK, shape.name], [name]))


def _rename(graph: onnx.GraphProto, before: str, after: str) -> None:
    for tensor in graph.initializer:
        if tensor.name == before:
            tensor.name = after
    for node in graph.node:
        for k, name in enumerate(node.input):
            if name == before:
                node.input[k] = after
