"""Which words an engine would spell out or skip instead of saying them."""

from __future__ import annotations

import unicodedata

from ....errors import VivavoceError


def refuse_unsayable(word: str, engine: str, english: bool) -> None:
    """Refuse a word that has nothing to say or, for an English voice, letters it cannot read.

    Engines do not: they skip such letters, or say "Chinese letter".

    Raises:
        VivavoceError: the word cannot be said.
    """
    if not any(letter.isalnum() for letter in word):
        raise VivavoceError(
            f"{engine} cannot say {word!r}: it has no letters; give that class a different spoken word"
        )
    if english and (foreign := [letter for letter in word if letter.isalpha() and not _latin(letter)]):
        raise VivavoceError(
            f"{engine} cannot say {word!r}: an English voice does not read {foreign[0]!r}; "
            "choose a voice for its language, or give that class a different spoken word"
        )


def _latin(letter: str) -> bool:
    return unicodedata.name(letter, "").startswith("LATIN")
