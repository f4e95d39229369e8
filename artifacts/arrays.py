"""Reading `.npz` archives from outside: bounded before anything is allocated, and nothing is unpickled."""

from __future__ import annotations

import math
import zipfile
from io import BytesIO
from pathlib import Path
from typing import IO, TypeVar

import msgspec
import numpy as np

from ..errors import VivavoceError
from ..files import read_bytes
from .runtime import first_line

GIBIBYTE = 2**30
ARRAYS_LIMIT = GIBIBYTE
"""Bytes that the arrays of one archive may take in memory, unless the caller says otherwise."""
MOST_ARRAYS = 10_000
"""Members of one archive."""
Kind = TypeVar("Kind")


def read_arrays(path: Path, what: str, limit: int = ARRAYS_LIMIT) -> dict[str, np.ndarray]:
    """Read every array of an `.npz` archive.

    The sizes that the archive and its array headers declare are compared with each other and with `limit`
    before an array is allocated. Arrays of Python objects, which only pickle could read, are refused.

    Args:
        path: the archive.
        what: what it should be, for the message: "label bank".
        limit: bytes that all arrays together may take.

    Raises:
        VivavoceError: the file cannot be read, is damaged, or holds more than `limit`.
    """
    try:
        if path.exists() and not path.is_file():
            raise VivavoceError(f"{path}: not a regular file")
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            held = sum(member.file_size for member in members)
            if held > limit or len(members) > MOST_ARRAYS:
                raise VivavoceError(
                    f"{path}: unpacks to {held / GIBIBYTE:.1f} GiB in {len(members)} arrays; "
                    f"at most {limit / GIBIBYTE:.3g} GiB in {MOST_ARRAYS} are read"
                )
            return {member.filename.removesuffix(".npy"): _read(archive, member) for member in members}
    except VivavoceError:
        raise
    except FileNotFoundError:
        raise VivavoceError(f"{path}: no such {what}") from None
    except Exception as error:  # zipfile, zlib, lzma, numpy and ast raise some ten kinds on damaged files
        raise VivavoceError(f"{path}: not a {what} that can be read ({first_line(error)})") from error


def read_array(path: Path, limit: int = ARRAYS_LIMIT) -> np.ndarray:
    """Read one array from an `.npy` file; nothing is unpickled.

    Raises:
        VivavoceError: the file cannot be read, is damaged, or is larger than `limit` bytes.
    """
    content = read_bytes(path, limit)
    try:
        _check_header(BytesIO(content), len(content), path.name)
        return np.lib.format.read_array(BytesIO(content), allow_pickle=False)
    except Exception as error:  # as above
        raise VivavoceError(f"{path}: not a .npy file that can be read ({first_line(error)})") from error


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """Read one array, after comparing the size in its header with what is there."""
    with archive.open(member) as file:
        _check_header(file, member.file_size, member.filename)
    with archive.open(member) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _check_header(file: IO[bytes], size: int, name: str) -> None:
    """Check that a `.npy` stream of `size` bytes holds what its header declares."""
    version = np.lib.format.read_magic(file)
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    shape, _, dtype = read_header[version](file)
    if dtype.hasobject:
        raise ValueError(f"{name} holds Python objects")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize > size:
        raise ValueError(f"{name} declares more than it holds: {dtype} {list(shape)}")


def read_about(arrays: dict[str, np.ndarray], kind: type[Kind], path: Path, what: str) -> Kind:
    """Decode the JSON text that some archives carry as the array `about`.

    Raises:
        VivavoceError: the array is missing, or does not match `kind`.
    """
    try:
        return msgspec.json.decode(str(arrays["about"]), type=kind)
    except KeyError:
        raise VivavoceError(f"{path}: not a {what} (it has no array `about`)") from None
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise VivavoceError(f"{path}: not a {what} ({first_line(error)})") from None
