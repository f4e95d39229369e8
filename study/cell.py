"""One cell of a study: what it is, which folder is its own, and how far it has come."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ..documents import read_json

DEFINITION, RESULT, FAILURE, LOG, MODEL = "cell.json", "result.json", "failure.json", "log.txt", "model.onnx"
ALL = 100
"""Data level that leaves nothing out."""


class AuditPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One audit of every model of a study."""

    protocol: str = "paper"
    attack: tuple[str, ...] = ()
    """Instead of the protocol's."""
    epsilon: tuple[float, ...] = ()
    """Instead of the protocol's."""
    limit: int = 1000
    seed: int = 0
    name: str = ""
    """Of its report; empty: the protocol's."""

    @property
    def report(self) -> str:
        """File name of its report in a cell's folder."""
        return f"audit-{self.name or self.protocol}.json"


class AdversarialPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Adversarial training of every model of a study; the fields are those of `make_adversarial`."""

    method: str
    epsilon: str | float = "8/255"
    steps: int | None = None
    loss: str | None = None

    @property
    def choices(self) -> dict[str, Any]:
        """What `make_adversarial` takes."""
        return msgspec.structs.asdict(self) | {"epsilon": str(self.epsilon)}


class Voice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who says the class names of speech labels, and in which words."""

    engine: str
    language: str = "en"
    voice: str | None = None
    """None: the engine's default for the language."""
    words: dict[str, str] = {}
    """Class name -> word; empty: the usual words, in English."""


class Common(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is the same for every cell of a study."""

    recipe: str = "paper"
    set: dict[str, Any] = {}
    """Fields of the recipe to change."""
    image_size: int = 32
    test_limit: int = 0
    """Judge every epoch on as many images of the test and validation parts; 0: on all."""
    snapshots: tuple[float, ...] = ()
    """Shares of the epochs after which the weights are kept, for figures of the features through training."""
    wavs: str = ""
    """Folder of recordings to make speech from."""
    weights: str = ""
    """Pretrained weights for the encoder: `imagenet`, or a file."""
    adversarial: AdversarialPlan | None = None
    """None: train on the images as they are."""
    audit: tuple[AuditPlan, ...] = ()


class Cell(Common, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One run of a grid, with all that decides its outcome."""

    dataset: str
    level: int
    encoder: str
    seed: int
    label: str | None = None
    method: str | None = None
    voice: Voice | None = None
    """None: `label` is a label kind; else the name of this voice, which speaks the labels."""

    @property
    def kind(self) -> str:
        """The label representation or the method: what is compared."""
        return self.method or self.label or ""

    @property
    def data(self) -> str:
        """Name of the data set, without its folder."""
        name, _, folder = self.dataset.partition(":")
        return name if folder else Path(name).name

    @property
    def name(self) -> str:
        """What it is called in lists."""
        level = "" if self.level == ALL else f"-{self.level}%"
        return f"{self.data}-{self.encoder}-{self.kind}{level}-{self.seed}"

    @property
    def digest(self) -> str:
        """SHA-256 of the definition; fields that earlier versions did not have count only if they are set."""
        fields = msgspec.structs.asdict(self)
        for later in ("adversarial", "voice"):
            if not fields[later]:
                del fields[later]
        return hashlib.sha256(msgspec.json.encode(fields, order="sorted")).hexdigest()

    @property
    def folder(self) -> str:
        """Name of its folder; other settings, other folder."""
        return f"{re.sub(r'[^A-Za-z0-9.+-]+', '-', self.name)}-{self.digest[:8]}"


def level_name(level: int) -> str:
    """An amount of data in words."""
    return "all data" if level == ALL else f"{level} % of the data"


class Result(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a finished cell came to."""

    accuracy: dict[str, float]
    """`validation`, `test`, and with labels `test_threshold`: shares in 0..1 of the best epoch."""
    best_epoch: int
    epochs: int
    seconds: float
    """That its training, export and audits took in the try that ended them."""
    machine: str


class Failure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a cell is not finished."""

    reason: str
    """One line."""
    tries: int = 1


def read_result(folder: Path) -> Result | None:
    """What the cell in `folder` came to; None while it is not finished."""
    return _read(folder / RESULT, Result)


def read_failure(folder: Path) -> Failure | None:
    """Why the cell in `folder` failed; None if it did not."""
    return _read(folder / FAILURE, Failure)


T = TypeVar("T")


def _read(path: Path, kind: type[T]) -> T | None:
    what = f"the {kind.__name__.lower()} of a cell; remove it to run the cell again"
    return read_json(path, kind, what) if path.exists() else None
