"""Reviews to classify: IMDB and Yelp polarity from their archives, as features of a local encoder."""

from __future__ import annotations

import csv
import hashlib
import io
import sys
import tarfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np

from ..errors import VivavoceError
from ..files import make_folder, replacing
from .data import Split, Splits, held_out
from .labels.bert import open_encoder, package_folder

Which = Literal["train", "test"]
Reviews = tuple[list[str], np.ndarray]
"""Texts, and int64 classes: 0 negative, 1 positive."""
CLASSES = ("negative", "positive")
BATCH = 32


@dataclass(frozen=True)
class Source:
    """A published set of reviews."""

    archive: str
    """The archive's file name; unpacked, the folder that it makes."""
    folder: str
    length: int
    """Tokens that a review is cut or filled up to (Yu & Verma's code)."""
    read: Callable[[Callable[[str], list[tuple[str, bytes]]], Which], Reviews]


def is_text(dataset: str) -> bool:
    """Whether a data set, `imdb:FOLDER` or `yelp:FOLDER`, is made of texts."""
    return dataset.partition(":")[0] in SOURCES


def open_texts(
    dataset: str,
    seed: int,
    level: int | None,
    model: Path | None,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> Splits:
    """Read reviews and turn each into the pooled state of an encoder that is not trained.

    The features are kept in the user's cache. They stand as float32 [N, D, 1, 1], so that training takes them
    as images of one pixel.

    Args:
        dataset: `imdb:FOLDER` or `yelp:FOLDER`, the folder with the archive, or with what was in it.
        seed: of the split, see `open_splits`.
        level: percentage of the training reviews, likewise.
        model: folder of a Hugging Face encoder; None: that of the `bert` extra.
        progress: called with the reviews done and their number.

    Raises:
        VivavoceError: no such files, or no encoder.
    """
    name, _, folder = dataset.partition(":")
    if not folder:
        raise VivavoceError(f"{name}: say where its archive is: --dataset {name}:FOLDER")
    source, place = SOURCES[name], model or package_folder()
    (texts, classes), (test_texts, test_classes) = (_read(source, Path(folder), w) for w in ("train", "test"))
    held, taken = held_out(len(texts), seed, level, dataset)
    chosen = np.concatenate([held, taken])
    wanted = [*(texts[i] for i in chosen), *test_texts]
    found = encode(wanted, place, source.length, progress)[:, :, None, None]
    parts = np.split(found, [len(held), len(chosen)])
    return Splits(
        name,
        dataset,
        CLASSES,
        Split(parts[1], classes[taken]),
        Split(parts[0], classes[held]),
        Split(parts[2], test_classes),
        (0.0,),
        (1.0,),
        flip=False,
    )


def encode(
    texts: Sequence[str], folder: Path, length: int, progress: Callable[[int, int], object]
) -> np.ndarray:
    """Pooled states float32 [N, D] of texts, cut to their first `length` tokens and filled up on the left.

    Raises:
        VivavoceError: no encoder in the folder, or one without a pooler.
    """
    kept = _cache(texts, folder, length)
    if kept.is_file():
        return np.load(kept, allow_pickle=False)
    rows = []
    with open_encoder(folder, threads=None) as (tokenizer, encoder):
        tokenizer.padding_side = "left"
        for first in range(0, len(texts), BATCH):
            batch = list(texts[first : first + BATCH])
            tokens = tokenizer(
                batch, padding="max_length", truncation=True, max_length=length, return_tensors="pt"
            )
            pooled = getattr(encoder(**tokens), "pooler_output", None)
            if pooled is None:
                raise VivavoceError(f"{folder}: an encoder without a pooler; give one of the BERT family")
            rows.append(pooled.float().numpy())
            progress(min(first + BATCH, len(texts)), len(texts))
    whole = np.concatenate(rows)
    make_folder(kept.parent)
    with replacing(kept) as fresh:
        np.save(fresh, whole)
    return whole


def _cache(texts: Sequence[str], folder: Path, length: int) -> Path:
    from platformdirs import user_cache_path

    digest = hashlib.sha256(f"{length}".encode())
    for file in sorted(folder.glob("*")):
        if file.is_file():
            digest.update(f"{file.name} {file.stat().st_size} ".encode())
    digest.update((folder / "config.json").read_bytes() if (folder / "config.json").is_file() else b"")
    for text in texts:
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return user_cache_path("vivavoce") / "texts" / f"{digest.hexdigest()[:32]}.npy"


def _read(source: Source, root: Path, which: Which) -> Reviews:
    """One part from the archive in a folder, or from the folder that it unpacks to."""
    places = (root / source.folder, root)
    unpacked = [p for p in places if (p / which).is_dir() or (p / f"{which}.csv").is_file()]
    if unpacked:
        return source.read(lambda pattern: _on_disk(unpacked[0], pattern), which)
    archive = root / source.archive
    try:
        with tarfile.open(archive) as tar:
            return source.read(lambda pattern: list(_in_archive(tar, pattern)), which)
    except FileNotFoundError:
        raise VivavoceError(
            f"{root}: no {source.archive} here, nor the folder {source.folder} that it unpacks to"
        ) from None
    except (tarfile.TarError, EOFError, OSError, UnicodeDecodeError) as error:
        raise VivavoceError(f"{archive}: cannot be read ({error})") from error


def _on_disk(folder: Path, pattern: str) -> list[tuple[str, bytes]]:
    return [(path.as_posix(), path.read_bytes()) for path in sorted(folder.glob(pattern))]


def _in_archive(tar: tarfile.TarFile, pattern: str) -> Iterable[tuple[str, bytes]]:
    for member in sorted(tar.getmembers(), key=lambda m: m.name):
        if member.isfile() and PurePosixPath(member.name).match(pattern):
            file = tar.extractfile(member)
            yield member.name, file.read() if file else b""


def _imdb(files: Callable[[str], list[tuple[str, bytes]]], which: Which) -> Reviews:
    """`train/neg/0_3.txt`, ...: a file a review."""
    texts, classes = [], []
    for k, part in enumerate(("neg", "pos")):
        found = [data.decode("utf-8", "replace") for _, data in files(f"{which}/{part}/*.txt")]
        texts += [text.replace("<br />", " ") for text in found]
        classes += [k] * len(found)
    return _checked(texts, classes, f"{which}/neg and {which}/pos")


def _yelp(files: Callable[[str], list[tuple[str, bytes]]], which: Which) -> Reviews:
    """`train.csv`: class 1 or 2, and a review in which a line break is a backslash and an n."""
    csv.field_size_limit(sys.maxsize)
    texts, classes = [], []
    for name, data in files(f"{which}.csv"):
        for row in csv.reader(io.StringIO(data.decode("utf-8", "replace"), newline="")):
            if len(row) != 2 or row[0] not in ("1", "2"):
                raise VivavoceError(f"{name}: a row is not a class, 1 or 2, and a review: {row[:1]}")
            classes.append(int(row[0]) - 1)
            texts.append(row[1].replace("\\n", " ").replace('\\"', '"'))
    return _checked(texts, classes, f"{which}.csv")


def _checked(texts: list[str], classes: list[int], where: str) -> Reviews:
    if len(set(classes)) != len(CLASSES):
        raise VivavoceError(f"{where}: needs reviews of both classes, found {len(texts)} reviews")
    return texts, np.array(classes, np.int64)


SOURCES = {
    "imdb": Source("aclImdb_v1.tar.gz", "aclImdb", 200, _imdb),
    "yelp": Source("yelp_review_polarity_csv.tgz", "yelp_review_polarity_csv", 100, _yelp),
}
