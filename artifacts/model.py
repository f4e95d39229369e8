"""One way to open any exported model: `open_model`."""

from __future__ import annotations

import re
import zipfile
from importlib import resources
from pathlib import Path
from typing import Protocol

import numpy as np

from ..errors import VivavoceError
from ..text import suggestion
from .decoding import Outputs
from .manifest import TORCHSCRIPT_FILE, Manifest
from .normalisation import Affine
from .preprocessing import Preprocessing
from .understood import Understood
from .voice import FileVoice

TORCHSCRIPT = (".pt", ".pth", ".ts", ".torchscript")
"""Suffixes of TorchScript files."""


class ExportedModel(Protocol):
    """An exported classifier, whatever its format.

    Images are float32 [N, C, H, W] in 0..1 of the size in `manifest.input`; any N.
    """

    path: Path
    manifest: Manifest
    bank: np.ndarray | None
    """Label bank inside the file, float32 [K, *label shape]; None for a model on logits."""
    named: bool
    """Whether the file names its classes; otherwise they are called 0, 1, ..."""
    name_audio: np.ndarray | None
    """Spectrograms of the spoken class names, float32 [K, bands, columns], that some files carry."""
    normalisation: Affine | None
    """What the file was seen to do to the image first; None: it shows nothing that can be read."""
    preprocessing: Preprocessing | None
    """How a file without a manifest is fed; None for one with a manifest."""
    voice: FileVoice | None
    """The vocoder inside the file; None for most, whose predictions `playback` turns into sound."""

    understood: Understood | None
    """How a file without a manifest is fed and read; None: its manifest says it."""

    def answer(self, images: np.ndarray) -> Outputs:
        """Run the file itself on a batch of images."""
        ...


def shipped_models() -> list[str]:
    """Names of the models that ship with the package."""
    files = resources.files(f"{__package__}.models").iterdir()
    return sorted(f.name.removesuffix(".onnx") for f in files if f.name.endswith(".onnx"))


def default_model() -> str:
    """The shipped model that speaks best: photographs before digits."""
    return next(name for name in ("cifar10-speech", "digits-speech") if name in shipped_models())


def find_model(model: str | Path) -> Path:
    """The file of a model given by path, or by name if it ships.

    Raises:
        VivavoceError: no such model.
    """
    path = Path(model)
    if not path.exists() and str(model) in shipped_models():
        path = Path(str(resources.files(f"{__package__}.models").joinpath(f"{model}.onnx")))
    if not path.exists():
        instead = f"give a file, or one of {', '.join(shipped_models())}"
        raise VivavoceError(f"{model}: no such model; {suggestion(str(model), shipped_models(), instead)}")
    return path


def by_name(text: str) -> str:
    """A message that calls shipped models by their names, not by where they are installed."""
    folder = re.escape(str(resources.files(f"{__package__}.models")))
    return re.sub(rf"{folder}[/\\]([\w-]+)\.onnx", r"\1", text)


def open_model(
    model: str | Path, preprocessing: Preprocessing | None = None, device: str = "cpu", trust: bool = False
) -> ExportedModel:
    """Open an `.onnx`, TorchScript `.pt` or torch.export `.pt2` file, or a shipped model by name.

    Args:
        model: path or name.
        preprocessing: how to understand a file without a vivavoce manifest; what it leaves open
            is looked up in `<model>.toml` beside the file, then inferred.
        device: `cpu` or `cuda`.
        trust: open a `.pt2` file, and a TorchScript file with unknown operators, too; both may run code
            that the file brings along.

    Raises:
        VivavoceError: no such model, or the file is not one.
    """
    path = find_model(model)
    if path.is_dir():
        raise VivavoceError(f"{path}: a folder, not a model; to audit a training run, export it first")
    if path.stat().st_size == 0:
        raise VivavoceError(f"{path}: the file is empty")
    if path.suffix == ".onnx":
        from .onnx_model import OnnxModel

        return OnnxModel(path, preprocessing, device)
    if path.suffix in TORCHSCRIPT:
        _refuse_unless_torchscript(path)
        from .torch_model import TorchModel

        return TorchModel(path, preprocessing, device, trust)
    if path.suffix == ".pt2":
        if not trust:
            raise VivavoceError(
                f"{path}: torch's reader of .pt2 files may run code that the file brings along; if you trust "
                "its source, pass --trust-model"
            )
        from .torch_model import TorchModel

        return TorchModel(path, preprocessing, device)
    if path.suffix == ".ort":
        raise VivavoceError(
            f"{path}: the format of onnxruntime shows no graph; give the .onnx file that it was made from"
        )
    raise VivavoceError(f"{path}: unsupported model format; give .onnx, TorchScript .pt or .pt2")


def has_manifest(path: Path) -> bool:
    """Whether a file says itself how it is fed and read."""
    if path.suffix == ".onnx":
        from .onnx_model import has_manifest as in_onnx

        return in_onnx(path)
    return any(name.rsplit("/", 1)[-1] == TORCHSCRIPT_FILE for name in _members(path))


def _members(path: Path) -> list[str]:
    """Names of what an archive holds; none for a file that is not an archive, or is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):  # damage raises many kinds
        return []


def _refuse_unless_torchscript(path: Path) -> None:
    """Look into the archive without torch, so that nothing of an unknown file is ever unpickled."""
    parts = {name.split("/", 1)[-1] for name in _members(path)}
    if not any(part.startswith("code/") for part in parts) or "constants.pkl" not in parts:
        raise VivavoceError(
            f"{path}: not a TorchScript file (a pickled model or checkpoint is never loaded, because that "
            "runs code); export it to .onnx, or where it was made, write "
            f"torch.jit.trace(net.eval(), torch.rand(1, 3, 224, 224)).save({path.name!r}), with the size of "
            "its images"
        )
