"""`ecoc`: error-correcting output codes, one code word a class (Dietterich & Bakiri 1995)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...artifacts.bank import LabelBank
from ...errors import VivavoceError
from ...files import MEBIBYTE, read_text
from .kinds import Request

CODES = ("hadamard", "random", "one-vs-all")
DRAWS = 200
"""Random codes that are drawn; the one with the largest minimum distance is kept."""
LONGEST = 4096


def build(request: Request) -> LabelBank:
    """A bank of code words with entries -1 and 1, for networks whose outputs end in tanh, or have no end.

    hadamard: rows of a Hadamard matrix without its constant column: any two differ in half of the matrix's
    columns (Verma & Swami 2019). random: the best of 200 draws. one-vs-all: one bit a class.

    Raises:
        VivavoceError: no such code, or a file with other than one word a class.
    """
    code = request.code or "hadamard"
    count = len(request.classes)
    if request.length is not None and not 1 < request.length <= LONGEST:
        raise VivavoceError(f"--length must be 2 to {LONGEST}, not {request.length}")
    if code == "hadamard":
        words = _hadamard(count, request.length)
    elif code == "random":
        words = _random(count, request.length or _doubled(count, 2), request.seed or 0)
    elif code == "one-vs-all":
        words = 2 * np.eye(count) - 1
    elif Path(code).exists():
        words = _read(Path(code), request.classes)
    else:
        raise VivavoceError(
            f"no code {code!r}; give {', '.join(CODES)}, or a file with a row of bits per class"
        )
    _check(words, request.classes, code)
    recipe: dict[str, str | int | float] = {
        "code": code if code in CODES else Path(code).name,
        "bits": words.shape[1],
        "minimum distance": minimum_distance(words),
    }
    if code == "random":
        recipe["seed"] = request.seed or 0
    return LabelBank("ecoc", words.astype(np.float32), request.classes, recipe=recipe)


def minimum_distance(words: np.ndarray) -> int:
    """Bits in which the two nearest of the words [K, L] with entries -1 and 1 differ."""
    differing = (words.shape[1] - words @ words.T) / 2
    return int(differing[np.triu_indices(len(words), 1)].min())


def _hadamard(count: int, length: int | None) -> np.ndarray:
    """Rows of Sylvester's matrix without the constant column, and without the constant row if others do."""
    size = _doubled(max(count, (length or 0) + 1))
    matrix = np.ones((1, 1))
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    if length is not None and length != size - 1:
        raise VivavoceError(f"a Hadamard code has 2^k - 1 bits; give --length {size // 2 - 1} or {size - 1}")
    return matrix[1 if size > count else 0 :][:count, 1:]


def _random(count: int, length: int, seed: int) -> np.ndarray:
    draw = np.random.default_rng(seed)
    codes = (2.0 * draw.integers(0, 2, (count, length)) - 1 for _ in range(DRAWS))
    return max(codes, key=minimum_distance)


def _doubled(count: int, times: int = 1) -> int:
    """The least power of two that is at least so many, times a factor."""
    return times * 2 ** max(1, (count - 1).bit_length())


def _read(path: Path, classes: tuple[str, ...]) -> np.ndarray:
    """Words from a text file: a row of 0 and 1, or -1 and 1, for each class."""
    lines = [line.replace(",", " ").split() for line in read_text(path, 16 * MEBIBYTE).splitlines()]
    rows = [list(row[0]) if len(row) == 1 and row[0].isdecimal() else row for row in lines if row]
    widths = {len(row) for row in rows}
    if len(rows) != len(classes) or len(widths) != 1:
        shown = ", ".join(map(str, sorted(widths)))
        raise VivavoceError(
            f"{path}: {len(rows)} rows of {shown} bits; it needs {len(classes)}, one per class, of one length"
        )
    values = {entry for row in rows for entry in row}
    if not (values <= {"0", "1"} or values <= {"-1", "1", "+1"}):
        raise VivavoceError(f"{path}: bits are 0 and 1, or -1 and 1")
    return np.array([[1.0 if entry in ("1", "+1") else -1.0 for entry in row] for row in rows])


def _check(words: np.ndarray, classes: tuple[str, ...], code: str) -> None:
    """Refuse codes that give two classes the same word."""
    same = np.triu(words @ words.T == words.shape[1], 1)
    if same.any():
        one, other = np.argwhere(same)[0]
        raise VivavoceError(f"{code}: {classes[one]!r} and {classes[other]!r} have the same word; add bits")
