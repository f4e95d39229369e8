"""MNIST, Fashion-MNIST and CIFAR in the files their makers publish: found in a folder, or downloaded."""

from __future__ import annotations

import gzip
import math
import os
import pickle
import pickletools
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import numpy as np

from ..errors import VivavoceError
from ..files import MEBIBYTE, read_bytes

Which = Literal["train", "test"]
Images = tuple[np.ndarray, np.ndarray]
"""uint8 [N, H, W] or [N, H, W, 3], and int64 [N]."""

LIMIT = 512 * MEBIBYTE
"""Bytes that one published file may hold, unpacked; the largest holds 180 million."""

ROOT = "VIVAVOCE_DATA"
"""Environment variable: the folder in which data sets lie and to which they are downloaded."""


@dataclass(frozen=True)
class Archive:
    """A data set that is published as a few files."""

    url: str
    """Folder on the web with the files of `md5`."""
    md5: dict[str, str]
    folders: tuple[str, ...]
    """Subfolders of a root in which others keep these files."""
    read: Callable[[Path, Which], Images | None]
    """Read one part from a folder; None: its files are not there."""


def open_archive(name: str, which: Which, root: Path | None = None) -> Images:
    """Read a part of a well-known data set.

    Args:
        name: a key of `ARCHIVES`.
        which: the part.
        root: folder with its files, or with a folder of them; None: `VIVAVOCE_DATA`, else the cache
            folder, where a download goes when the files are in neither.

    Raises:
        VivavoceError: the files are not there or damaged, or cannot be downloaded.
    """
    archive = ARCHIVES[name]
    asked = root or (Path(os.environ[ROOT]) if os.environ.get(ROOT) else None)
    places = [asked] if asked else [_cache(), Path("/usr/share/datasets")]
    for place in places:
        for folder in (place, *(place / f for f in (name, *archive.folders))):
            try:
                found = archive.read(folder, which) if folder.is_dir() else None
            except (
                Exception
            ) as error:  # gzip, tarfile, pickle and numpy raise some ten kinds on damaged files
                reason = " ".join(str(error).split())[:200] or type(error).__name__
                raise VivavoceError(f"{folder}: the {name} files here are damaged ({reason})") from error
            if found is not None:
                return found
    if root is not None:
        raise VivavoceError(
            f"{root}: no {name} files here; put {', '.join(archive.md5)} there, as published or unpacked"
        )
    _download(archive, places[0] / name)
    return open_archive(name, which, places[0])


def _cache() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("vivavoce")


def _download(archive: Archive, folder: Path) -> None:
    from ..console import need

    need("pooch", "download", "downloading a data set")
    import pooch

    for file, md5 in archive.md5.items():
        try:
            pooch.retrieve(archive.url + file, f"md5:{md5}", file, folder, progressbar=True)
        except (OSError, ValueError) as error:  # requests' errors are OSErrors, a wrong digest a ValueError
            raise VivavoceError(
                f"{archive.url}{file} could not be downloaded ({type(error).__name__}); "
                f"get the file another way, put it into {folder} and try again"
            ) from error


def _idx(folder: Path, which: Which) -> Images | None:
    stem = "train" if which == "train" else "t10k"
    paths = [_either(folder / f"{stem}-{part}-ubyte") for part in ("images-idx3", "labels-idx1")]
    if None in paths:
        return None
    images, labels = (read_idx(path) for path in paths if path)
    if images.ndim != 3 or labels.shape != images.shape[:1]:
        raise ValueError(f"{list(images.shape)} images and {list(labels.shape)} labels")
    return images, labels.astype(np.int64)


def _either(path: Path) -> Path | None:
    """The file or its compressed form, whichever is there."""
    packed = path.with_name(f"{path.name}.gz")
    return next((p for p in (path, packed) if p.is_file()), None)


def read_idx(path: Path) -> np.ndarray:
    """Read an IDX file of bytes, compressed or not, of any rank; no more than its header declares.

    Raises:
        ValueError: not such a file, damaged, or larger than is read; the message names it.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            head = file.read(4)
            if len(head) < 4 or head[:3] != b"\0\0\x08":
                raise ValueError("not an IDX file of bytes")
            sizes = file.read(4 * head[3])
            shape = [int(n) for n in np.frombuffer(sizes, ">u4")]
            count = math.prod(shape)
            if len(sizes) < 4 * head[3] or count > LIMIT:
                raise ValueError(f"its head says {shape}, more than is read")
            data = file.read(count + 1)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise ValueError(f"{path.name}: {error}") from error
    if len(data) != count:
        raise ValueError(f"{path.name} does not hold the {count} entries of which its head says {shape}")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _cifar(labels: int, train: tuple[str, ...], test: str) -> Callable[[Path, Which], Images | None]:
    """A reader of CIFAR's binary records, which carry so many label bytes, the last of which counts."""

    def read(folder: Path, which: Which) -> Images | None:
        names = train if which == "train" else (test,)
        files = _members(folder, tuple(f"{n}.bin" for n in names)) or _members(folder, names)
        if files is None:
            return None
        binary = next(iter(files)).endswith(".bin")
        parts = [_records(data, labels) if binary else _pickled(data) for data in files.values()]
        pixels, classes = (np.concatenate(column) for column in zip(*parts, strict=True))
        return pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), classes.astype(np.int64)

    return read


def _members(folder: Path, names: tuple[str, ...]) -> dict[str, bytes] | None:
    """Contents of the files in a folder, or in a CIFAR archive in it; None unless all are there."""
    if all((folder / n).is_file() for n in names):
        return {n: read_bytes(folder / n, LIMIT // len(names)) for n in names}
    for archive in sorted(folder.glob("cifar-10*.tar.gz")):
        with (
            gzip.open(archive) as packed,
            tarfile.open(fileobj=cast("Any", _Bounded(packed)), mode="r|") as tar,
        ):
            found = {}
            for member in tar:
                name = Path(member.name).name
                file = tar.extractfile(member) if member.isfile() and name in names else None
                if file is not None:
                    found[name] = file.read()
            if len(found) == len(names):
                return {n: found[n] for n in names}
    return None


class _Bounded:
    """An archive that is unpacked as it is read, up to a limit."""

    def __init__(self, file: gzip.GzipFile) -> None:
        self._file, self._left = file, LIMIT

    def read(self, size: int) -> bytes:
        """Read on.

        Raises:
            ValueError: the archive unpacks to more than is read.
        """
        data = self._file.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise ValueError(f"it unpacks to more than {LIMIT // MEBIBYTE} MiB")
        return data


def _records(data: bytes, labels: int) -> Images:
    size = labels + 3072
    if not data or len(data) % size:
        raise ValueError(f"{len(data)} bytes are not whole records of {size}")
    table = np.frombuffer(data, np.uint8).reshape(-1, size)
    return table[:, labels:], table[:, labels - 1]


def _pickled(data: bytes) -> Images:
    for operation, argument, _ in pickletools.genops(data):
        if "PUT" in operation.name and isinstance(argument, int) and argument > len(data):
            raise ValueError("it numbers more objects than it can hold")  # would take that much memory
    table = _OnlyArrays(BytesIO(data), encoding="latin1").load()
    images = table["data"]
    labels = np.array(table["labels"] if "labels" in table else table["fine_labels"])
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.shape[1:] != (3072,):
        raise ValueError("`data` is not uint8 [N, 3072]")
    if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
        raise ValueError("the labels are not one integer per image")
    return images, labels


def _empty_array(*_: object) -> np.ndarray:
    """What pickle makes before it fills in shape and values, whatever shape the file asks for."""
    return np.ndarray((0,), np.uint8)


def _latin1(text: str, _: str = "latin1") -> bytes:
    return text.encode("latin1")


class _OnlyArrays(pickle.Unpickler):
    """Reads the Python edition of CIFAR: plain containers and numpy arrays, and refuses all else."""

    _ALLOWED: ClassVar[dict[tuple[str, str], Any]] = {
        ("numpy.core.multiarray", "_reconstruct"): _empty_array,
        ("numpy._core.multiarray", "_reconstruct"): _empty_array,
        ("numpy", "ndarray"): "ndarray",  # an argument of the two above, never called
        ("numpy", "dtype"): np.dtype,
        ("_codecs", "encode"): _latin1,  # bytes, in files that Python 3 wrote for Python 2
    }

    def find_class(self, module: str, name: str) -> Any:
        """Look up a name that the file asks for, if it is one of those that make an array."""
        if (module, name) in self._ALLOWED:
            return self._ALLOWED[module, name]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no CIFAR file does")


_IDX = ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz",
        "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")  # fmt: skip

ARCHIVES: dict[str, Archive] = {
    "mnist": Archive(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        dict(zip(_IDX, (
            "f68b3c2dcbeaaa9fbdd348bbdeb94873", "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3", "ec29112dd5afa0611ce80d1b7f02629c",
        ), strict=True)),
        ("MNIST/raw",),
        _idx,
    ),
    "fashion-mnist": Archive(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        dict(zip(_IDX, (
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d", "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79", "bb300cfdad3c16e7a12a480ee83cd310",
        ), strict=True)),
        ("FashionMNIST/raw",),
        _idx,
    ),
    "cifar10": Archive(
        "https://www.cs.toronto.edu/~kriz/",
        {"cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530"},
        ("cifar-10-batches-bin", "cifar-10-batches-py"),
        _cifar(1, tuple(f"data_batch_{k}" for k in range(1, 6)), "test_batch"),
    ),
    "cifar100": Archive(
        "https://www.cs.toronto.edu/~kriz/",
        {"cifar-100-binary.tar.gz": "03b5dce01913d631647c71ecec9e9cb8"},
        ("cifar-100-binary", "cifar-100-python"),
        _cifar(2, ("train",), "test"),
    ),
}  # fmt: skip
