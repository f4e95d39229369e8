"""Whether a file is what its manifest says: inputs, outputs, label bank, normalisation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from ..errors import VivavoceError
from .bank import LabelBank
from .manifest import NAME_AUDIO, Manifest
from .normalisation import Affine

PLAIN_STD = (0.05, 2.0)
"""Where a file's normalisation cannot be read, the std that its manifest may state: those of photographs and
of the published data sets are 0.1 to 0.35."""
TOLERANCE = 0.01
"""Relative difference between the manifest's std and the graph's: what float16 rounds is less."""


def check_graph(model: onnx.ModelProto, manifest: Manifest, path: Path) -> None:
    """Refuse a file whose inputs or outputs are not what its manifest says.

    Raises:
        VivavoceError: the message names the input or output.
    """
    inputs, outputs = ({v.name: v for v in values} for values in (model.graph.input, model.graph.output))
    wanted = ["scores", "label", "loss"] if manifest.label else ["scores"]
    missing = [n for n in wanted if n not in outputs] + ["image"] * ("image" not in inputs)
    if missing:
        raise VivavoceError(f"{path}: its manifest promises {missing[0]!r}, which its graph does not have")
    if manifest.label and all(t.name != "label_bank" for t in model.graph.initializer):
        raise VivavoceError(
            f"{path}: its label bank (initializer `label_bank`) is gone: an optimiser folded it away; "
            "quantise or optimise without constant folding"
        )
    entry, classes = manifest.input, len(manifest.classes)
    promised = {"image": (entry.channels, entry.height, entry.width), "scores": (classes,)}
    if manifest.label:
        promised |= {"label": manifest.label.shape, "loss": (classes,)}
    for name, shape in promised.items():
        value = (inputs | outputs)[name]
        if value.type.WhichOneof("value") != "tensor_type":
            raise VivavoceError(f"{path}: {name!r} is not a tensor in its graph")
        dims = [d.dim_value for d in value.type.tensor_type.shape.dim]
        if not dims and name != "image":  # some optimisers leave the shapes of outputs out
            continue
        if len(dims) != len(shape) + 1 or any(
            d not in (-1, 0, s) for d, s in zip(dims[1:], shape, strict=True)
        ):
            raise VivavoceError(
                f"{path}: {name!r} has the dimensions {dims} in its graph and {['N', *shape]} in its manifest"
            )


def check_bank(
    bank: np.ndarray | None, name_audio: np.ndarray | None, manifest: Manifest, path: Path
) -> None:
    """Refuse a file whose label bank, or whose sounds of names, are not those of its manifest.

    A bank that was rounded to fewer bits has no digest to compare; its shape and range remain.

    Raises:
        VivavoceError: they differ.
    """
    classes = len(manifest.classes)
    for name, array, shape in (
        ("label_bank", bank, manifest.label and manifest.label.bank_shape),
        (NAME_AUDIO, name_audio, manifest.names and manifest.names.shape),
    ):
        if shape is None or array is None:
            continue
        if array.shape != (classes, *shape):
            raise VivavoceError(
                f"{path}: its {name} has the shape {list(array.shape)}; its manifest says {[classes, *shape]}"
            )
        if array.dtype.kind != "f" or not np.isfinite(array).all():
            raise VivavoceError(f"{path}: its {name} holds values that are not finite floating-point numbers")
    if manifest.label and bank is not None and bank.dtype.itemsize >= 4:
        held = LabelBank(manifest.label.kind, bank.astype(np.float32), manifest.classes)
        if held.digest != manifest.label.digest:
            raise VivavoceError(
                f"{path}: its label bank does not have the digest that its manifest states; "
                "the file was changed after it was exported"
            )


def check_normalisation(found: Affine | None, manifest: Manifest, path: Path) -> None:
    """Refuse a manifest whose std is not the graph's: epsilon in normalised units is multiplied by it.

    Args:
        found: what the graph does to the image first; None: it cannot be read.
        manifest: the file's.
        path: the file, for the message.

    Raises:
        VivavoceError: the graph divides by something else, or cannot be read and the std is implausible.
    """
    std = np.array(manifest.input.std)
    if found is None:
        if (std != 1).any() and not ((std >= PLAIN_STD[0]) & (std <= PLAIN_STD[1])).all():
            raise VivavoceError(
                f"{path}: its manifest says std {_numbers(std)}, but its graph shows no such normalisation; "
                "export it again, or correct the manifest"
            )
        return
    own = 1 / np.array(found.gain)
    if (np.abs(own - std) > TOLERANCE * np.maximum(own, std)).any():
        raise VivavoceError(
            f"{path}: its manifest says std {_numbers(std)}, but its graph divides by {_numbers(own)}; "
            "export it again, or correct the manifest"
        )


def _numbers(values: np.ndarray) -> str:
    return " ".join(f"{v:.4g}" for v in values)
