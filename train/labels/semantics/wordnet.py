"""WordNet's nouns from its own database files, and how far two of them are apart."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np

from ....errors import VivavoceError

PLACES = (Path("/usr/share/wordnet"), Path("/usr/local/share/wordnet"), Path("/usr/share/wordnet-3.0/dict"))
HYPERNYMS = ("@", "@i")
"""Pointers to what a noun is a kind of, or an instance of."""


class WordNet:
    """The noun part of a WordNet database: `index.noun` and `data.noun`.

    Args:
        folder: with these files; None: where Debian's `wordnet-base` and others put them.

    Raises:
        VivavoceError: the files are not there.
    """

    def __init__(self, folder: Path | None = None) -> None:
        places = [folder, folder / "dict"] if folder else list(PLACES)
        found = (p for p in places if (p / "index.noun").is_file() and (p / "data.noun").is_file())
        place = next(found, None)
        if place is None:
            raise VivavoceError(
                f"{folder or PLACES[0]}: no WordNet here (index.noun, data.noun); install Debian's "
                "wordnet-base, or give the folder with --wordnet"
            )
        self.folder = place

    @cached_property
    def _senses(self) -> dict[str, list[int]]:
        """Word -> offsets of its synsets in `data.noun`, the commonest first."""
        senses = {}
        for line in self._lines("index.noun"):
            fields = line.split()
            count = int(fields[2])
            senses[fields[0]] = [int(offset) for offset in fields[-count:]]
        return senses

    @cached_property
    def _parents(self) -> dict[int, list[int]]:
        """Offset of a synset -> those of its hypernyms."""
        parents = {}
        for line in self._lines("data.noun"):
            fields = line.split(" | ", 1)[0].split()
            pointers = 4 + 2 * int(fields[3], 16)
            starts = range(pointers + 1, pointers + 1 + 4 * int(fields[pointers]), 4)
            parents[int(fields[0])] = [int(fields[k + 1]) for k in starts if fields[k] in HYPERNYMS]
        return parents

    def _lines(self, name: str) -> list[str]:
        """The entries of a file; the licence at its top begins with spaces."""
        try:
            text = (self.folder / name).read_text("utf-8", errors="replace")
        except OSError as error:
            raise VivavoceError(f"{self.folder / name}: cannot be read ({error.strerror})") from error
        return [line for line in text.splitlines() if line and not line.startswith(" ")]

    def synset(self, word: str, sense: int = 1) -> int | None:
        """The synset of a noun's sense, counted from 1; None: WordNet does not have it."""
        try:
            found = self._senses.get(word.strip().lower().replace(" ", "_").replace("-", "_"), [])
            return found[sense - 1] if len(found) >= sense else None
        except (ValueError, IndexError) as error:
            raise VivavoceError(f"{self.folder}: not WordNet's database ({error})") from error

    def ancestors(self, synset: int) -> dict[int, int]:
        """All synsets above one, itself included, and how many steps up each is."""
        steps, frontier, level = {synset: 0}, [synset], 0
        while frontier:
            level += 1
            above = {parent for each in frontier for parent in self._parents[each]}
            frontier = [parent for parent in above if parent not in steps]
            steps |= dict.fromkeys(frontier, level)
        return steps

    def distances(self, synsets: list[int]) -> np.ndarray:
        """Lengths of the shortest paths through a common hypernym: int64 [N, N]."""
        above = [self.ancestors(synset) for synset in synsets]
        found = np.zeros((len(synsets), len(synsets)), np.int64)
        for i, j in zip(*np.triu_indices(len(synsets), 1), strict=True):
            shared = above[i].keys() & above[j].keys()
            found[i, j] = found[j, i] = min(above[i][s] + above[j][s] for s in shared)
        return found
