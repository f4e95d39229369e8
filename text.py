"""Text from outside (names of classes, files, producers) made safe for terminals, logs and tables."""

from __future__ import annotations

import unicodedata

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters for which a spreadsheet takes a cell for a formula (OWASP, "CSV Injection")."""


HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp", "Cn", "Co")
"""Unicode categories of characters that show nothing of their own."""


def plain(text: str) -> str:
    """Escape what would act on a terminal or log instead of being shown there.

    Control characters, line and paragraph separators, bidirectional overrides and other invisible format
    characters, and lone surrogates become Python escapes. A text that begins with `::`, a
    command to GitHub's runners, gets a space in front.
    """
    shown = "".join(c if _visible(c) else c.encode("unicode_escape").decode() for c in text)
    return f" {shown}" if shown.startswith("::") else shown


JOINERS = "\u200c\u200d"
"""Invisible, but part of how Persian, Hindi and emoji are written."""


def _visible(character: str) -> bool:
    return character in JOINERS or unicodedata.category(character) not in HIDDEN


def cell(text: str) -> str:
    """A CSV cell that no spreadsheet runs: what looks like a formula gets an apostrophe in front."""
    shown = plain(text)
    return f"'{shown}" if shown.startswith(FORMULA) else shown


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
