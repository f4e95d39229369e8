"""Which files of a folder are images: one rule for audits, training and `classify`."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from ..errors import VivavoceError
from ..notices import say_once
from ..text import plain
from .imageset import NOT_PIXELS

SYSTEM = ("__macosx", "thumbs.db", "desktop.ini", "@eadir")
"""Names, in lower case, that operating systems and file servers leave in folders."""
NAMED = 3
"""So many of the files that are left out are named."""


@dataclass
class LeftOut:
    """Files that are no images of a data set, by reason."""

    reasons: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, name: str) -> None:
        """Note one file."""
        self.reasons.setdefault(reason, []).append(name)

    def say(self, where: Path) -> None:
        """Say what was left out, in one line on standard error; the same line only once a process."""
        if self.reasons:
            count = sum(map(len, self.reasons.values()))
            parts = ", ".join(_part(*item) for item in sorted(self.reasons.items()))
            say_once(f"{plain(str(where))}: left out {count} file{'s' * (count > 1)}: {parts}")


def _part(reason: str, names: list[str]) -> str:
    if reason == HIDDEN:
        return f"{len(names)} {reason}"
    named = ", ".join(plain(name) for name in sorted(names)[:NAMED]) + ", …" * (len(names) > NAMED)
    return f"{len(names)} {reason} ({named})"


HIDDEN, NO_IMAGE, SPECIAL, TWICE, LOOSE = (
    "hidden", "not an image", "not a regular file", "in a folder seen before", "in no class folder"
)  # fmt: skip


def hidden(name: str) -> bool:
    """Whether a file or folder is not the user's own: a leading dot, or a name that systems leave."""
    return name.startswith(".") or name.lower() in SYSTEM


@cache
def suffixes() -> frozenset[str]:
    """Suffixes, in lower case, of the formats that Pillow decodes here."""
    from PIL import Image

    known = Image.registered_extensions()
    return frozenset(
        s for s, kind in known.items() if kind in (*Image.OPEN, "MPO") and kind not in NOT_PIXELS
    )


def is_image(name: str) -> bool:
    """Whether a file's name ends as an image's does."""
    return os.path.splitext(name)[1].lower() in suffixes()  # noqa: PTH122 -- 100,000 Paths cost seconds


def class_folders(folder: Path, left: LeftOut) -> list[str]:
    """Names of the subfolders that are classes, sorted; files beside them are left out.

    Raises:
        VivavoceError: the folder cannot be read.
    """
    classes = []
    for entry in _entries(folder):
        if not hidden(entry.name) and entry.is_dir():
            classes.append(entry.name)
        elif entry.is_dir():
            _leave(Path(entry.path), left)
        else:
            left.add(HIDDEN if hidden(entry.name) else LOOSE, entry.name)
    return sorted(classes)


def images_below(folder: Path, left: LeftOut) -> list[Path]:
    """Images in a folder and its subfolders, sorted by path; links are followed, each folder once.

    Raises:
        VivavoceError: a folder cannot be read.
    """
    found: list[Path] = []
    open_folders, seen = [folder], {_identity(folder)}
    while open_folders:
        for entry in _entries(open_folders.pop()):
            if hidden(entry.name):
                if entry.is_dir(follow_symlinks=False):
                    _leave(Path(entry.path), left)
                else:
                    left.add(HIDDEN, entry.name)
            elif entry.is_dir():
                identity = _identity(Path(entry.path))
                if identity in seen:
                    left.add(TWICE, entry.name)
                else:
                    seen.add(identity)
                    open_folders.append(Path(entry.path))
            elif not is_image(entry.name):
                left.add(NO_IMAGE, entry.name)
            elif not entry.is_file():
                left.add(SPECIAL, entry.name)
            else:
                found.append(Path(entry.path))
    return sorted(found)


def _leave(folder: Path, left: LeftOut) -> None:
    """Count what a hidden folder holds, as far as it can be read."""
    for _, _, files in os.walk(folder):
        for name in files:
            left.add(HIDDEN, name)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise VivavoceError(f"{folder}: cannot be read ({error.strerror or error})") from error


def _identity(folder: Path) -> tuple[int, int]:
    try:
        status = folder.stat()
    except OSError as error:
        raise VivavoceError(f"{folder}: cannot be read ({error.strerror or error})") from error
    return status.st_dev, status.st_ino
