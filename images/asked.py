"""Which images a command line names: files, folders, patterns, standard input."""

from __future__ import annotations

import glob
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import VivavoceError
from ..files import MEBIBYTE
from .fit import Fit
from .folders import LeftOut, images_below
from .imageset import decode, read_image

STDIN = "-"
STDIN_LIMIT = 256 * MEBIBYTE
"""Bytes of the largest image that is read from standard input."""


@dataclass(frozen=True)
class Asked:
    """One image that a command line names."""

    name: str
    """What the user calls it: a path, or `-`."""
    place: Path
    """Where its output goes below a folder for outputs."""

    def read(self, fit: Fit) -> np.ndarray:
        """The image as uint8 [height, width, channels].

        Raises:
            VivavoceError: it cannot be read.
        """
        if self.name == STDIN:
            if sys.stdin.isatty():
                raise VivavoceError(
                    "standard input: no image comes in; pipe one into the command: cat photo.png | ..."
                )
            data = sys.stdin.buffer.read(STDIN_LIMIT + 1)
            if len(data) > STDIN_LIMIT:
                raise VivavoceError(
                    f"standard input: more than {STDIN_LIMIT // MEBIBYTE} MiB, the most that is read"
                )
            return decode(data, fit, "standard input")
        return read_image(self.name, fit)


def gather(arguments: Sequence[str]) -> list[Asked]:
    """Turn a command line's arguments into images, each once, in the order given.

    Args:
        arguments: files; folders, of which every image below is taken; patterns that the shell has left
            alone (`*.jpg`, `photos/**/*.png`); `-` for standard input.

    Raises:
        VivavoceError: a folder or pattern without images.
    """
    found: dict[str, Asked] = {}
    for argument in arguments:
        for asked in _one(argument):
            found.setdefault(asked.name, asked)
    return list(found.values())


def _one(argument: str) -> list[Asked]:
    path = Path(argument)
    if argument == STDIN:
        return [Asked(STDIN, Path("stdin"))]
    if path.is_dir():
        files = _below(path)
        if not files:
            raise VivavoceError(f"{path}: a folder without images in it")
        return [Asked(str(file), file.relative_to(path)) for file in files]
    if not path.exists() and glob.has_magic(argument):
        names = glob.glob(argument, recursive=True)  # noqa: PTH207 -- Path.glob takes no absolute patterns
        matches = [Path(name) for name in sorted(names)]
        files = [file for match in matches for file in (_below(match) if match.is_dir() else [match])]
        if not files:
            raise VivavoceError(f"{argument}: no file matches this pattern")
        return [Asked(str(file), Path(file.name)) for file in files]
    return [Asked(argument, Path(path.name))]


def _below(folder: Path) -> list[Path]:
    """Images anywhere below a folder, by the rule of data folders."""
    left = LeftOut()
    found = images_below(folder, left)
    left.say(folder)
    return found
