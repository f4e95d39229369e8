"""Which images were asked about: files, folders, patterns, standard input."""

from __future__ import annotations

import glob
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import VivavoceError
from ..files import MEBIBYTE
from ..images import Fit
from ..images.folders import LeftOut, images_below
from ..images.imageset import decode, read_image

STDIN = "-"
STDIN_LIMIT = 256 * MEBIBYTE
"""Bytes of the largest image that is read from standard input."""


@dataclass(frozen=True)
class Asked:
    """One image to be answered."""

    name: str
    """What the user calls it: a path, or `-`."""
    place: Path
    """Where its sound goes below a folder for sounds, without a suffix."""

    def read(self, fit: Fit) -> np.ndarray:
        """The image as uint8 [height, width, channels].

        Raises:
            VivavoceError: it cannot be read.
        """
        if self.name == STDIN:
            if sys.stdin.isatty():
                raise VivavoceError(
                    "standard input: no image comes in; pipe one: cat photo.png | vivavoce ..."
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


def sound_paths(images: Sequence[Asked], wav: Path | None) -> dict[str, Path]:
    """Where each image's sound goes: one file for one image, else `<image name>.wav` in a folder.

    Below a folder of images, their subfolders are kept; images that differ only in their suffix keep it.

    Raises:
        VivavoceError: a file for several images, a folder that is not there, or names that collide.
    """
    if wav is None:
        return {}
    if len(images) == 1 and not wav.is_dir():
        if wav.suffix.lower() != ".wav":
            raise VivavoceError(f"{wav}: give a file ending in .wav, or a folder that exists")
        if not wav.absolute().parent.is_dir():
            raise VivavoceError(f"{wav.parent}: no such folder to write to")
        return {images[0].name: wav}
    if not wav.is_dir():
        raise VivavoceError(f"{wav}: for several images give a folder that exists")
    short = [asked.place.with_suffix("") for asked in images]
    places = [
        wav / (f"{asked.place}.wav" if short.count(bare) > 1 else f"{bare}.wav")
        for asked, bare in zip(images, short, strict=True)
    ]
    if len(set(places)) < len(places):
        twice = next(place for place in places if places.count(place) > 1)
        raise VivavoceError(f"two of the images would both be {twice}; ask about their folder instead")
    return {asked.name: place for asked, place in zip(images, places, strict=True)}
