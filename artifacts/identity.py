"""Which model a file is: one digest and one size over all its files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath, PureWindowsPath

import msgspec
import onnx
from google.protobuf.message import DecodeError

from ..errors import VivavoceError
from ..files import sha256_of
from ..text import plain
from .declared import tensors_of
from .model import ExportedModel


@dataclass(frozen=True)
class Identity:
    """What tells one exported model from another, whatever the name of its file."""

    sha256: str
    """For a model in one file, the SHA-256 of that file. For an ONNX file with external data, the SHA-256 of
    a text: the SHA-256 of each file in hexadecimal, one per line, in the order of `files_of`. The command
    `sha256sum model.onnx model.onnx.data | cut -c 1-64 | sha256sum` prints the same."""
    bytes: int
    """Size of all files together."""


def identify(path: Path) -> Identity:
    """The identity of an exported model.

    Raises:
        VivavoceError: as `files_of`, or a file cannot be read.
    """
    files = files_of(path)
    digests = [sha256_of([file]) for file in files]
    size = sum(file.stat().st_size for file in files)
    if len(digests) == 1:
        return Identity(digests[0], size)
    return Identity(hashlib.sha256("".join(f"{d}\n" for d in digests).encode()).hexdigest(), size)


def files_of(path: Path) -> list[Path]:
    """The files that an exported model consists of: its own, then its external data by location.

    The locations are read from every tensor of an ONNX file (initializers, attributes, subgraphs,
    functions), without loading what is there, and once for as long as the file stays the same: reading a
    large file takes twice its size in memory.

    Raises:
        VivavoceError: the file is not an ONNX model, or external data are missing, outside the model's
            folder or not a regular file.
    """
    if path.suffix != ".onnx":
        return [path]
    try:
        about = path.stat()
        locations = _locations_in(path, about.st_mtime_ns, about.st_size)
    except (DecodeError, UnicodeDecodeError):
        raise VivavoceError(f"{path}: not an ONNX model, or not all of it (it cannot be decoded)") from None
    except OSError as error:
        raise VivavoceError(f"{path}: cannot be read ({error.strerror or error})") from error
    return [path, *(_beside(path, location) for location in locations)]


@lru_cache
def _locations_in(path: Path, changed: int, size: int) -> tuple[PurePosixPath, ...]:
    """Where a file of this size that was changed at this time, in ns, keeps external data; in order."""
    model = onnx.load(path, load_external_data=False)
    return tuple(sorted({PurePosixPath(name) for tensor in tensors_of(model) for name in _locations(tensor)}))


def answers_digest(model: ExportedModel) -> str:
    """SHA-256 of all that decides an opened model's answers.

    That is its identity, its manifest (class names, image size, threshold) and, for a file without a
    manifest, the preprocessing options as given or read from `<model>.toml`, with the values of its inputs.
    """
    preprocessing = model.preprocessing
    if preprocessing is not None:  # paths are left out; the manifest has the names
        fixed = model.understood.fixed if model.understood else None
        preprocessing = replace(preprocessing, classes=None, fix=fixed)
    about = (identify(model.path).sha256, model.manifest, preprocessing)
    return hashlib.sha256(msgspec.json.encode(about)).hexdigest()


def _locations(tensor: onnx.TensorProto) -> Iterator[str]:
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        yield from (entry.value for entry in tensor.external_data if entry.key == "location")


def _beside(path: Path, location: PurePosixPath) -> Path:
    """The file of external data at a location relative to the model's folder."""
    shown = plain(str(location))
    if location.is_absolute() or PureWindowsPath(location).is_absolute() or ".." in location.parts:
        raise VivavoceError(f"{path}: keeps weights in {shown}, which is outside its folder")
    file = path.parent / location
    try:
        if file.is_file():
            return file
        reason = "not a regular file" if file.exists() else "no such file"
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = str(error)
    raise VivavoceError(f"{path}: keeps weights in {shown}, but there is {reason}; copy it to the folder")
