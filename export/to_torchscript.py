"""A contract as one TorchScript file."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import torch

from ..artifacts.manifest import TORCHSCRIPT_FILE, Manifest
from ..train.model import Contract


def write_torchscript(contract: Contract, manifest: Manifest, path: Path) -> None:
    """Write a traced module with dynamic batch, the bank as buffer `label_bank`, and the manifest."""
    size = (2, manifest.input.channels, manifest.input.height, manifest.input.width)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the format stays because users have such files
        traced = torch.jit.trace(contract, torch.rand(*size), check_trace=False)
        whole = io.BytesIO()  # torch names no reason where it cannot write a file
        torch.jit.save(traced, whole, _extra_files={TORCHSCRIPT_FILE: manifest.to_json()})
    path.write_bytes(whole.getvalue())
