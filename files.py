"""Files, from one place: written whole or not at all, read within bounds, as UTF-8, and digested."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import VivavoceError

MEBIBYTE = 2**20
TEXT_LIMIT = 64 * MEBIBYTE
"""Bytes of the largest text file that is read: reports of 100,000 images stay far below."""


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that a kill or a full disk leaves the old file or the new one, never a part.

    Raises:
        VivavoceError: the file cannot be written; the message names it.
    """
    with replacing(path) as fresh:
        fresh.write_bytes(data)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path to write to; when the block ends without an error, that file takes the place of `path`.

    The path has the suffix of `path`, for libraries that choose a format by it. A device or pipe
    (`/dev/stdout`) is written directly.

    Raises:
        VivavoceError: the file cannot be written; the message names it.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        try:
            yield path
        except OSError as error:
            raise _unwritable(path, error) from error
        return
    fresh = None
    try:
        real = Path(os.path.realpath(path))  # a link stays a link
        fresh = _beside(real)
        if path.is_dir():
            raise IsADirectoryError(None, "Is a directory")
        fresh.touch()
        mode = stat.S_IMODE((real if real.exists() else fresh).stat().st_mode)
        yield fresh
        fresh.chmod(mode)  # some libraries let nobody else read what they write
        with fresh.open("rb+") as file:
            os.fsync(file.fileno())
        fresh.replace(real)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        with suppress(OSError):
            if fresh:
                fresh.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    """A hidden name in the same folder, short whatever the length of the name, with its suffix."""
    digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:12]
    return path.with_name(f".{os.getpid()}.{digest}.new{path.suffix[-40:]}")


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, where they are missing.

    Raises:
        VivavoceError: it cannot be made, or is a file.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VivavoceError(f"{path}: no folder can be made here ({error.strerror or error})") from error


def _unwritable(path: Path, error: OSError) -> VivavoceError:
    return VivavoceError(f"{path}: cannot be written ({error.strerror or error})")


def check_parent(path: Path) -> None:
    """Check before work starts that an output file can be written: its folder exists, and it is no folder.

    Raises:
        VivavoceError: it cannot.
    """
    if path.is_dir():
        raise VivavoceError(f"{path}: is a folder; give a file name")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise VivavoceError(f"{path.parent}: no such folder to write to")
    if not path.exists() and not os.access(folder, os.W_OK):
        raise VivavoceError(f"{path.parent}: no permission to write to this folder")


def is_folder(path: Path) -> bool:
    """Whether an output that may be a file or a folder is a folder: it exists as one, or has no suffix."""
    return path.is_dir() or not path.suffix


def check_folder(path: Path) -> None:
    """Check before work starts that an output folder exists, or that `make_folder` can make it.

    Raises:
        VivavoceError: it is a file, or what it would be made in is one or cannot be written.
    """
    existing = path.absolute()
    while not os.path.lexists(existing):
        existing = existing.parent
    if not existing.is_dir():
        raise VivavoceError(
            f"{existing if existing != path.absolute() else path}: is not a folder; give a folder"
        )
    if not os.access(existing, os.W_OK):
        raise VivavoceError(f"{path}: no permission to write to this folder")


def read_bytes(path: Path, limit: int = TEXT_LIMIT) -> bytes:
    """Read a regular file of at most `limit` bytes.

    Raises:
        VivavoceError: there is no such file, it cannot be read, is larger, or is a folder, device or pipe.
    """
    try:
        if path.exists() and not path.is_file():
            raise VivavoceError(f"{path}: not a regular file")
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except FileNotFoundError:
        raise VivavoceError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise VivavoceError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if len(data) > limit:
        raise VivavoceError(f"{path}: larger than {limit / MEBIBYTE:g} MiB, the most that is read")
    return data


def read_text(path: Path, limit: int = TEXT_LIMIT) -> str:
    """Read a UTF-8 text file, with or without a byte-order mark; line ends become newlines.

    Raises:
        VivavoceError: as for `read_bytes`, or the file is not UTF-8.
    """
    try:
        text = read_bytes(path, limit).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise VivavoceError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def sha256_of(paths: Iterable[Path]) -> str:
    """SHA-256 of the contents of files, one after another, in hexadecimal.

    Raises:
        VivavoceError: a file cannot be read.
    """
    digest = hashlib.sha256()
    for path in paths:
        try:
            with path.open("rb") as file:
                while block := file.read(MEBIBYTE):
                    digest.update(block)
        except OSError as error:
            raise VivavoceError(f"{path}: cannot be read ({error.strerror or error})") from error
    return digest.hexdigest()
