"""A contract as one torch.export file."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import torch

from ..artifacts.manifest import TORCHSCRIPT_FILE, Manifest
from ..train.model import Contract
from .writer import Writer


def to_pt2(contract: Contract, manifest: Manifest) -> Writer:
    """Convert to an exported program with dynamic batch and the bank as buffer `label_bank`."""
    size = (2, manifest.input.channels, manifest.input.height, manifest.input.width)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns about its own internals
        dynamic = ({0: torch.export.Dim("N")},)
        program = torch.export.export(contract, (torch.rand(*size),), dynamic_shapes=dynamic)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # it holds paths of this machine

    def write(manifest: Manifest, path: Path) -> None:
        whole = io.BytesIO()  # torch names no reason where it cannot write a file
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.export.save(program, whole, extra_files={TORCHSCRIPT_FILE: manifest.to_json()})
        path.write_bytes(whole.getvalue())

    return write
