"""Class names and spoken words as a user gives them: a data set's name, or a file."""

from __future__ import annotations

from pathlib import Path

from ...errors import VivavoceError
from ...files import MEBIBYTE, read_text
from ...images.classes import CLASSES, spoken_words
from ...text import suggestion

HEADERS = {"class", "classes", "name"}


def read_classes(source: str) -> tuple[tuple[str, ...], tuple[str, ...] | None]:
    """Class names, and the words said for them if any were given.

    Args:
        source: a known data set, or a text file with one class a line: its name, or its name and the word
            said for it with a comma or tab between; blank lines and lines that start with # do not count,
            nor does a first line `class,spoken`.

    Returns:
        Names, and words (None: nothing was given; where only some were, the others are the usual ones).

    Raises:
        VivavoceError: neither a data set nor a text file with classes.
    """
    if source in CLASSES:
        return CLASSES[source], None
    if not Path(source).exists():
        instead = f"give {', '.join(CLASSES)}, or a file with one class a line"
        raise VivavoceError(f"{source}: no such class list; {suggestion(source, CLASSES, instead)}")
    text = read_text(Path(source), MEBIBYTE)
    rows = [_row(line) for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if rows and rows[0][0].lower() in HEADERS and rows[0][1].lower() in ("", "spoken"):
        rows = rows[1:]
    if not rows:
        raise VivavoceError(f"{source}: holds no classes; put one on every line")
    names = tuple(name for name, _ in rows)
    if not any(word for _, word in rows):
        return names, None
    usual = spoken_words(names)
    return names, tuple(word or usual[k] for k, (_, word) in enumerate(rows))


def _row(line: str) -> tuple[str, str]:
    """Name and word of one line; the word is empty where none is given."""
    name, _, word = line.partition("\t" if "\t" in line else ",")
    return name.strip(), word.strip()
