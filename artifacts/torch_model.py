"""Opening TorchScript `.pt` and torch.export `.pt2` files; nothing else in this folder imports torch."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..documents import parse_json
from ..errors import VivavoceError
from .configs import with_declared
from .contract import check_bank, check_normalisation
from .decoding import Outputs
from .foreign import with_settings_file
from .manifest import NAME_AUDIO, TORCHSCRIPT_FILE, Manifest
from .normalisation import Affine
from .preprocessing import Preprocessing, refuse_options
from .torch_foreign import adapt, in_float32
from .torch_input import example_of
from .torch_output import reason
from .torch_program import program_example, take_by_place
from .torchscript import checked
from .understood import Understood

if TYPE_CHECKING:
    import torch

    from .voice import FileVoice


ULTRALYTICS_FILE = "config.txt"
"""Where ultralytics keeps the names of the classes and the size of the images in a TorchScript file."""


class TorchModel:
    """A TorchScript or torch.export classifier under the contract; see `ExportedModel`.

    The caller has made sure that the file is TorchScript, whose code is checked here before torch runs it,
    or that the user trusts it.
    """

    voice: FileVoice | None = None
    normalisation: Affine | None = None
    understood: Understood | None = None
    smooth: Callable[[torch.Tensor], Sequence[torch.Tensor]] | None = None
    """Of a file in half precision, the same in float32, for its gradient; None: torch takes it of the file's
    own module."""
    preprocessing: Preprocessing | None = None
    """How a file without a manifest is fed; None for one with a manifest."""
    bank: np.ndarray | None = None
    name_audio: np.ndarray | None = None
    named = True

    def __init__(
        self,
        path: Path,
        preprocessing: Preprocessing | None = None,
        device: str = "cpu",
        trust: bool = False,
    ) -> None:
        try:
            import torch
        except ImportError:
            raise VivavoceError(
                f'{path}: this file needs torch; install it with: pip install "vivavoce[train]", '
                "or export the model to .onnx"
            ) from None
        if device == "cuda" and not torch.cuda.is_available():
            raise VivavoceError("no CUDA device that torch can use is here; give --device cpu")
        self.path, self.device = path, device
        extra = {TORCHSCRIPT_FILE: "", ULTRALYTICS_FILE: ""}
        archive = None if path.suffix == ".pt2" else checked(path, trust)
        try:
            module = _load(archive or path, device, extra)
        except Exception as error:  # torch raises many kinds for files that it cannot read
            raise VivavoceError(f"{path}: torch cannot load this file: {reason(error)}") from error
        for parameter in module.parameters():
            parameter.requires_grad_(False)
        self.module: Callable[[torch.Tensor], Sequence[torch.Tensor]] = module
        """Maps images [N, C, H, W] in 0..1 to `(scores,)`, or `(scores, label, loss)`."""
        if not extra[TORCHSCRIPT_FILE]:
            declared = _declared(extra[ULTRALYTICS_FILE])
            options = with_declared(with_settings_file(path, preprocessing), declared, path)
            self.preprocessing = options
            example = program_example(module) if archive is None else example_of(archive)
            found = adapt(module, example, path, options, declared)
            self.module, self.manifest = found.scorer, found.manifest
            self.bank = found.scorer.bank and found.scorer.bank.labels
            self.named, self.understood = found.named, found.understood
            if found.scorer.dtype in (torch.float16, torch.bfloat16):
                self.smooth = in_float32(_load(archive or path, device, {}), found)
            return
        refuse_options(path, preprocessing)
        self.manifest = Manifest.from_json(extra[TORCHSCRIPT_FILE], str(path))
        buffers = {name.rsplit(".", 1)[-1]: b for name, b in module.named_buffers()}
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
            raise VivavoceError(f"{self.path}: torch failed on a batch: {reason(error)}") from error
        return answers.check(len(images), self.manifest, self.path)


def _declared(text: str) -> dict[str, str]:
    """The metadata of ultralytics, as its ONNX files hold them: every value as text."""
    with contextlib.suppress(VivavoceError):
        return {key: str(value) for key, value in parse_json(text or "{}", dict[str, Any], "").items()}
    return {}


def _stored(std: torch.Tensor | None, channels: int) -> Affine | None:
    """The normalisation that a module of this package stores with its weights."""
    if std is None or std.numel() not in (1, channels) or not bool((std > 0).all()):
        return None
    return Affine(tuple((1 / std.double().flatten().expand(channels)).tolist()))


def _load(source: Path | io.BytesIO, device: str, extra: dict[str, str]) -> torch.nn.Module:
    """Read a module from a `.pt2` file or a checked archive, and what it carries beside into `extra`."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated upstream; users have such files
        if isinstance(source, Path):
            return take_by_place(torch.export.load(source, extra_files=extra).module().to(device))
        source.seek(0)
        return torch.jit.load(source, map_location=device, _extra_files=extra).eval()
