"""Target classes from a CSV file."""

from __future__ import annotations

import csv
import io
import unicodedata
from pathlib import Path

import numpy as np

from ..errors import VivavoceError
from ..files import read_text
from ..images import ImageSet


def read_targets(path: Path, images: ImageSet, indices: np.ndarray) -> np.ndarray:
    """Target classes from a CSV file with columns `file` and `target`: int64 [n], one per audited image.

    `file` is the path relative to the data folder, or an index where images have no files; `target` is a
    class name or number.

    Raises:
        VivavoceError: the file cannot be read, a column or an image is missing, a line is incomplete or
            contradicts an earlier one, or a target is no class or the true one.
    """
    given = _rows(path)
    goals = np.empty(len(indices), np.int64)
    for k, index in enumerate(indices):
        name = images.files[index] if images.files else str(index)
        target = given.get(_composed(name))
        if target is None:
            raise VivavoceError(f"{path}: no target for {name}")
        goals[k] = _class_number(target, images.classes, f"{path}: {name}")
        if goals[k] == images.labels[index]:
            raise VivavoceError(f"{path}: the target of {name} is its true class")
    return goals


def _rows(path: Path) -> dict[str, str]:
    """The target of each file, as text."""
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""), skipinitialspace=True)
    given: dict[str, str] = {}
    try:
        if not {"file", "target"} <= set(reader.fieldnames or ()):
            raise VivavoceError(f"{path}: needs a header line `file,target` and a line for every image")
        for row in reader:
            name, target = row["file"], row["target"]
            if name is None or target is None:
                raise VivavoceError(f"{path}: line {reader.line_num} lacks a value; needs `file,target`")
            if given.setdefault(_composed(name), target) != target:
                raise VivavoceError(f"{path}: line {reader.line_num} gives {name} a second target")
    except csv.Error as error:
        raise VivavoceError(f"{path}: not CSV that can be read ({error})") from error
    return given


def _composed(name: str) -> str:
    """The same name whether its accents are composed (Linux, Windows) or not (macOS)."""
    return unicodedata.normalize("NFC", name)


def _class_number(text: str, classes: tuple[str, ...], where: str) -> int:
    if text in classes:
        return classes.index(text)
    if text.isdecimal() and len(text) < 10 and int(text) < len(classes):
        return int(text)
    raise VivavoceError(f"{where}: {text[:100]!r} is not a class")
