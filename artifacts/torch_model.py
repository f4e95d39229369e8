"""Opening TorchScript `.pt` and torch.export `.pt2` files; nothing else in this folder imports torch."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import VivavoceError
from .contract import check_bank, check_normalisation
from .decoding import Outputs
from .manifest import NAME_AUDIO, TORCHSCRIPT_FILE, Manifest
from .normalisation import Affine
from .runtime import first_line
from .torchscript import checked
from .understood import Understood

if TYPE_CHECKING:
    import torch

    from .voice import FileVoice


class TorchModel:
    """A TorchScript or torch.export classifier under the contract; see `ExportedModel`.

    The caller has made sure that the file is TorchScript, whose code is checked here before torch runs it,
    or that the user trusts it.
    """

    named = True
    voice: FileVoice | None = None
    normalisation: Affine | None = None
    understood: Understood | None = None

    def __init__(self, path: Path, device: str = "cpu", trust: bool = False) -> None:
        try:
            import torch
        except ImportError:
            raise VivavoceError(
                f'{path}: this file needs torch; install it with: pip install "vivavoce[train]", '
                "or export the model to .onnx"
            ) from None
        if device == "cuda" and not torch.cuda.is_available():
            raise VivavoceError("no CUDA device that torch can use is here; give --device cpu")
        extra = {TORCHSCRIPT_FILE: ""}
        try:
            self.module = _load(path, device, extra, trust)
        except VivavoceError:
            raise
        except Exception as error:  # torch raises many kinds for files that it cannot read
            raise VivavoceError(f"{path}: torch cannot load this file: {first_line(error)}") from error
        if not extra[TORCHSCRIPT_FILE]:
            raise VivavoceError(
                f"{path}: a torch file without a vivavoce manifest; make it with `vivavoce export`, or "
                "export the model to .onnx, which opens without one"
            )
        self.path, self.device = path, device
        self.manifest = Manifest.from_json(extra[TORCHSCRIPT_FILE], str(path))
        for parameter in self.module.parameters():
            parameter.requires_grad_(False)
        buffers = {name.rsplit(".", 1)[-1]: b for name, b in self.module.named_buffers()}
        self.bank = buffers["label_bank"].cpu().numpy() if "label_bank" in buffers else None
        self.name_audio = buffers[NAME_AUDIO].cpu().numpy() if NAME_AUDIO in buffers else None
        check_bank(self.bank, self.name_audio, self.manifest, path)
        self.normalisation = _stored(buffers.get("std"), self.manifest.input.channels)
        check_normalisation(self.normalisation, self.manifest, path)

    def answer(self, images: np.ndarray) -> Outputs:
        """Run the file on images [N, C, H, W] in 0..1.

        Raises:
            VivavoceError: torch fails on them, or its answers have other shapes than those declared.
        """
        import torch

        try:
            with torch.no_grad():
                outputs = self.module(torch.from_numpy(images).to(self.device))
            answers = Outputs(*(o.cpu().numpy() for o in outputs))
        except Exception as error:  # a damaged or foreign module raises anything
            raise VivavoceError(f"{self.path}: torch failed on a batch: {first_line(error)}") from error
        return answers.check(len(images), self.manifest, self.path)


def _stored(std: torch.Tensor | None, channels: int) -> Affine | None:
    """The normalisation that a module of this package stores with its weights."""
    if std is None or std.numel() not in (1, channels) or not bool((std > 0).all()):
        return None
    return Affine(tuple((1 / std.double().flatten().expand(channels)).tolist()))


def _load(path: Path, device: str, extra: dict[str, str], trust: bool) -> torch.nn.Module:
    """Read a file's module, and what it carries beside into `extra`."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated upstream; users have such files
        if path.suffix == ".pt2":
            return torch.export.load(path, extra_files=extra).module().to(device)
        return torch.jit.load(checked(path, trust), map_location=device, _extra_files=extra).eval()
