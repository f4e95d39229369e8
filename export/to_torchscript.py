"""A contract as one TorchScript file."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import torch

from ..artifacts.manifest import TORCHSCRIPT_FILE, Manifest
from ..train.model import Contract
from .writer import Writer


def to_torchscript(contract: Contract, manifest: Manifest) -> Writer:
    """Convert to a traced module with dynamic batch and the bank as buffer `label_bank`."""
    size = (2, manifest.input.channels, manifest.input.height, manifest.input.width)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the format stays because users have such files
        traced = torch.jit.trace(contract, torch.rand(*size), check_trace=False)

    def write(manifest: Manifest, path: Path) -> None:
        whole = io.BytesIO()  # torch names no reason where it cannot write a file
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            torch.jit.save(traced, whole, _extra_files={TORCHSCRIPT_FILE: manifest.to_json()})
        path.write_bytes(whole.getvalue())

    return write
