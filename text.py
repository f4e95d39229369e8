"""Text from outside (names of classes, files, producers) made safe for terminals, logs and tables."""

from __future__ import annotations

import difflib
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import TypeVar, overload

T = TypeVar("T")

FORMULA = tuple("=+-@＝＋－＠")
"""First characters for which a spreadsheet takes a cell for a formula (OWASP, "CSV Injection")."""
MOST_NAMES = 10
"""So many names are listed where none is like the one asked for."""
HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp", "Cn", "Co")
"""Unicode categories of characters that show nothing of their own."""
COMMANDS = re.compile(r"(?<!\S)::|##(?=\w*\[)")
"""What begins a command to a runner: `::` after any spaces (GitHub); `##[` (GitHub) and `##vso[` (Azure,
and the like) anywhere in a line."""


def plain(text: str) -> str:
    """Escape what would act on a terminal or log instead of being shown there.

    Control characters, line and paragraph separators, bidirectional overrides and other invisible format
    characters, and lone surrogates become Python escapes, and so does the first character of what runners
    of continuous integration take for a command.
    """
    shown = "".join(c if _visible(c) else c.encode("unicode_escape").decode() for c in text)
    return COMMANDS.sub(lambda found: f"\\x{ord(found[0][0]):02x}{found[0][1:]}", shown)


def suggestion(name: str, names: Iterable[str], otherwise: str | None = None) -> str:
    """What to do about an unknown name, for the end of an error: the names that look like it, else all.

    Args:
        name: what the user wrote.
        names: those that there are.
        otherwise: what to say where none looks like it; by default, to choose one of the first ten.
    """
    known = list(dict.fromkeys(names))
    if near := difflib.get_close_matches(name, known, 3, 0.6):
        return f"did you mean {' or '.join(plain(one) for one in near)}?"
    shown = ", ".join(plain(one) for one in known[:MOST_NAMES]) + ", …" * (len(known) > MOST_NAMES)
    return otherwise or f"choose one of {shown}"


JOINERS = "\u200c\u200d"
"""Invisible, but part of how Persian, Hindi and emoji are written."""


def _visible(character: str) -> bool:
    return character in JOINERS or unicodedata.category(character) not in HIDDEN


def encodable(text: str) -> str:
    """The text with backslash escapes for what UTF-8 cannot hold: bytes of file names that are not UTF-8."""
    return text.encode(errors="backslashreplace").decode()


@overload
def cell(value: str) -> str: ...
@overload
def cell(value: T) -> T: ...
def cell(value: object) -> object:
    """A CSV cell that no spreadsheet runs: text that looks like a formula gets an apostrophe in front.

    What is no text, such as a number, stays as it is.
    """
    if not isinstance(value, str):
        return value
    shown = plain(value)
    return f"'{shown}" if shown.startswith(FORMULA) else shown


SPECIAL = re.compile(r"[\\`*\[\]{}<>|~$&#]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
"""What Markdown takes for more than a letter; an underscore only at the end of a word."""


def markdown(text: str) -> str:
    """One line of text, for Markdown: nothing in it is markup, a link, HTML or the end of a table's cell."""
    return SPECIAL.sub(r"\\\g<0>", plain(text))


def file_stems(names: Sequence[str]) -> list[str]:
    """A file name without suffix for each path: safe in any folder, and no two alike.

    It is the path's own stem, or the whole path joined by `-` where stems are alike in upper or lower case.
    """
    stems = [_stem(PurePosixPath(name.replace("\\", "/")).name) for name in names]
    folded = Counter(stem.casefold() for stem in stems)
    taken: set[str] = set()
    result = []
    for name, stem in zip(names, stems, strict=True):
        bare = stem if folded[stem.casefold()] == 1 else _stem(name)
        fresh, count = bare, 1
        while fresh.casefold() in taken:
            count += 1
            fresh = f"{bare}-{count}"
        taken.add(fresh.casefold())
        result.append(fresh)
    return result


def _stem(name: str) -> str:
    """The name without its suffix; letters, digits, `.`, `_` and `-` stay, at most 100 of them."""
    bare = re.sub(r"\.\w{1,5}$", "", name)
    return (
        re.sub(r"[^\w.-]+", "-", bare).strip(".-")[-100:].encode()[-200:].decode(errors="ignore") or "image"
    )


def numbered(names: tuple[str, ...]) -> tuple[str, ...]:
    """Tell equal names apart: the second `crane` becomes `crane (2)`; the first keeps its name."""
    seen: dict[str, int] = {}
    taken, result = set(names), []
    for name in names:
        count = seen[name] = seen.get(name, 0) + 1
        fresh = name
        while count > 1 and (fresh == name or fresh in taken):
            fresh = f"{name} ({count})"
            count += 1
        taken.add(fresh)
        result.append(fresh)
    return tuple(result)


def duration(seconds: float) -> str:
    """A duration as people say it, rounded up: `40 s`, `12 min`, `3 h 20 min`."""
    if seconds < 100:
        return f"{max(math.ceil(seconds), 1)} s"
    minutes = math.ceil(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
