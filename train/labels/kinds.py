"""The registry: the name of every label representation and the module that makes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import VivavoceError
from ...text import suggestion

if TYPE_CHECKING:
    from ...artifacts.bank import LabelBank


@dataclass(frozen=True)
class Request:
    """What a label bank is asked to be; each kind reads what concerns it."""

    classes: tuple[str, ...]
    spoken: tuple[str, ...]
    """The word said for each class."""
    texts: tuple[str, ...]
    """The words that `bert` and `glove` look up: what the user wants said, else the class name."""
    size: int = 64
    """Side of a square label."""
    seed: int | None = None
    """None: the seed with which the published arrays were made."""
    engine: str | None = None
    """Speech engine; None: the first that is installed."""
    voice: str | None = None
    language: str = "en"
    wavs: Path | None = None
    """Folder of recordings, instead of an engine."""
    model: Path | None = None
    """Folder of a Hugging Face encoder."""
    vectors: Path | None = None
    """Text file of word vectors."""
    code: str | None = None
    """Which error-correcting code, or a file with one; None: hadamard."""
    length: int | None = None
    """Bits of a code word; None: as few as the code has."""
    text_model: Path | None = None
    """An .onnx text encoder; None: a Hugging Face encoder, see `model`."""
    tokenizer: Path | None = None
    """Its `tokenizer.json`; None: the one next to it."""
    templates: tuple[str, ...] = ()
    """Texts with `{}` for the class name; none: "a photo of a {}"."""
    as_released: bool = False
    """The label as the authors' files have it, oddities included."""
    saying: Callable[[str], object] = str
    """Told each word before it is said, so that somebody can show how far it is."""


@dataclass(frozen=True)
class Kind:
    """One label representation."""

    summary: str
    module: str | None = None
    """Module beside this one whose `build(Request)` makes the bank; None: the labels are one-hot."""
    sound: bool = False
    """Whether its labels can be played."""
    smoothing: float = 0.0
    """Share of the one-hot target that is spread over the other classes (cross-entropy only)."""
    options: frozenset[str] = field(default_factory=frozenset)
    """Fields of Request, beyond the classes and the size, that make a difference."""

    def ignored(self, given: Iterable[str]) -> list[str]:
        """Which of the given options (fields of Request) make no difference to this kind."""
        return sorted(set(given) - self.options - {"classes", "size"})

    def build(self, request: Request) -> LabelBank | None:
        """Make the bank, or None for one-hot labels."""
        if self.module is None:
            return None
        return import_module(f".{self.module}", __package__).build(request)


_SPEECH = frozenset({"spoken", "engine", "voice", "language", "wavs"})

KINDS: Mapping[str, Kind] = {
    "category": Kind("one-hot rows and cross-entropy: no bank"),
    "category-smoothed": Kind("one-hot rows, a tenth of the weight on the other classes", smoothing=0.1),
    "speech": Kind("log-mel spectrogram of the spoken class name", "speech", sound=True, options=_SPEECH),
    "shuffled-speech": Kind(
        "speech with its columns in a random order", "shuffled", sound=True, options=_SPEECH | {"seed"}
    ),
    "constant": Kind("a matrix of one value per class", "constant"),
    "gaussian-composition": Kind("a sum of ten oriented Gaussians", "gaussian", options=frozenset({"seed"})),
    "uniform-random": Kind(
        "a matrix of uniform random entries", "uniform_random", options=frozenset({"seed"})
    ),
    "low-dim": Kind("a random vector, one entry per class", "low_dim", options=frozenset({"seed"})),
    "bert": Kind(
        "last hidden state of a BERT-family encoder",
        "bert",
        options=frozenset({"spoken", "model", "as_released"}),
    ),
    "bert-vector": Kind(
        "pooled state of a BERT-family encoder, one vector a class",
        "bert_vector",
        options=frozenset({"spoken", "model"}),
    ),
    "glove": Kind(
        "word vector of the class name", "glove", options=frozenset({"spoken", "vectors", "as_released"})
    ),
    "ecoc": Kind(
        "an error-correcting code word, entries -1 and 1",
        "ecoc",
        options=frozenset({"code", "length", "seed"}),
    ),
    "text": Kind(
        "a text encoder's embedding of a text with the class name",
        "text",
        options=frozenset({"spoken", "model", "text_model", "tokenizer", "templates"}),
    ),
}


def build(
    kind: str,
    classes: Sequence[str],
    *,
    spoken: Sequence[str] | None = None,
    size: int = 64,
    seed: int | None = None,
    engine: str | None = None,
    voice: str | None = None,
    language: str = "en",
    wavs: str | Path | None = None,
    model: str | Path | None = None,
    vectors: str | Path | None = None,
    as_released: bool = False,
    code: str | None = None,
    length: int | None = None,
    text_model: str | Path | None = None,
    tokenizer: str | Path | None = None,
    templates: Sequence[str] = (),
    saying: Callable[[str], object] = str,
) -> LabelBank | None:
    """Make the label bank of `kind` for these classes.

    Args:
        kind: a name in `KINDS`.
        classes: class names, in the order of the data set's labels.
        spoken: the word said for each class; None: `spoken_words(classes)`.
        size: side of a square label (the paper: twice the image's).
        seed: for kinds that draw; None: that of the published arrays.
        engine: speech engine by name; None: the first that is installed.
        voice: a voice of that engine; None: its default for the language.
        language: of the spoken words, as a code such as `en` or `de`.
        wavs: a folder of recordings named by class or by index, instead of an engine.
        model: a folder with a Hugging Face encoder (`bert`).
        vectors: a text file of word vectors (`glove`).
        as_released: labels as the authors' files have them, oddities included (`bert`, `glove`).
        code: hadamard, random, one-vs-all, or a file with a row of bits for each class (`ecoc`).
        length: bits of a code word; None: as few as the code has (`ecoc`).
        text_model: an .onnx text encoder, instead of a Hugging Face folder (`text`).
        tokenizer: its `tokenizer.json`; None: the one next to it (`text`).
        templates: texts with `{}` for the class name; none: "a photo of a {}" (`text`).
        saying: called with each word before it is said.

    Returns:
        The bank, or None when labels are one-hot (`category`).

    Raises:
        VivavoceError: unknown kind, classes that are not distinct, or what the kind itself refuses.
    """
    from ...images.classes import plain_words, spoken_words

    if kind not in KINDS:
        raise VivavoceError(f"no label kind {kind!r}; {suggestion(kind, KINDS)}")
    names = tuple(classes)
    _check_names(names)
    words = tuple(spoken) if spoken is not None else spoken_words(names)
    if len(words) != len(names):
        raise VivavoceError(f"{len(words)} spoken words for {len(names)} classes")
    if size < 4:
        raise VivavoceError(f"a label of size {size} is too small; give at least 4")
    request = Request(
        classes=names,
        spoken=words,
        texts=words if spoken is not None else plain_words(names),
        size=size,
        seed=seed,
        engine=engine,
        voice=voice,
        language=language,
        wavs=_path(wavs),
        model=_path(model),
        vectors=_path(vectors),
        as_released=as_released,
        code=code,
        length=length,
        text_model=_path(text_model),
        tokenizer=_path(tokenizer),
        templates=tuple(templates),
        saying=saying,
    )
    return KINDS[kind].build(request)


def _check_names(names: tuple[str, ...]) -> None:
    if len(names) < 2:
        raise VivavoceError(f"labels need at least 2 classes, found {len(names)}")
    if any(not name.strip() for name in names):
        raise VivavoceError("a class name is empty; every class needs a name")
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise VivavoceError(f"the class name {name!r} appears twice; class names must differ")
        seen.add(name)


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)
