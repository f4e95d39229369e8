"""The label bank: one label per class, and how far a prediction is from each."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import numpy as np

from ..errors import VivavoceError, naming
from ..files import replacing
from ..text import plain
from .arrays import read_about, read_arrays
from .manifest import Label, Mel
from .metrics import smooth_l1
from .plain_bank import read_plain

SCHEMA = 2
"""The newest that this package reads. Only banks with several labels of a class are marked 2."""


PLAIN = "bank"
"""Kind of a bank that says no more than its labels."""


@dataclass(frozen=True, eq=False)
class LabelBank:
    """One label per class: float32 [K, *label shape], in the order of `classes`.

    Raises:
        VivavoceError: shapes, names or counts do not fit together.
    """

    kind: str
    labels: np.ndarray
    """float32 [K, *label shape]; decibels for speech. With `members` [K, M, *label shape]."""
    classes: tuple[str, ...]
    spoken: tuple[str, ...] = ()
    """The word said for each class; empty for kinds without sound."""
    frames: tuple[int, ...] | None = None
    """Frames of each class's spectrogram before it was resized to the label; speech only."""
    mel: Mel | None = None
    recipe: dict[str, str | int | float] = field(default_factory=dict)
    """How the bank was made: engine, voice, seed, versions."""
    members: tuple[int, ...] | None = None
    """Where a class has several labels, as the images of a gallery: how many of its M are its own. Those
    after them repeat."""

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
        least = 2 if self.members is None else 3
        if self.labels.dtype != np.float32 or self.labels.ndim < least or not self.labels.size:
            raise VivavoceError(f"label bank: labels must be float32 [K, ...], not {self.labels.dtype} "
                                f"{list(self.labels.shape)}")  # fmt: skip
        k = len(self.labels)
        if self.members and not all(0 < count <= self.labels.shape[1] for count in self.members):
            raise VivavoceError(f"label bank: a class has 1 to {self.labels.shape[1]} labels")
        counts = (("classes", self.classes), ("spoken", self.spoken), ("frames", self.frames),
                  ("members", self.members))  # fmt: skip
        for name, counted in counts:
            if counted and len(counted) != k:
                raise VivavoceError(f"label bank: {len(counted)} {name} for {k} labels")
        if len(set(self.classes)) != len(self.classes):
            twice = next(c for c in self.classes if self.classes.count(c) > 1)
            raise VivavoceError(
                f"label bank: the class name {plain(twice)!r} appears twice; give several labels of a class "
                "as an array [classes, labels, ...]"
            )
        if not np.isfinite(self.labels).all():
            raise VivavoceError("label bank: a label has an entry that is not finite")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one label."""
        return self.labels.shape[1 if self.members is None else 2 :]

    @property
    def rows(self) -> np.ndarray:
        """Every label as a row: float32 [K, M, D]."""
        several = 1 if self.members is None else self.labels.shape[1]
        return self.labels.reshape(len(self.labels), several, -1)

    @property
    def digest(self) -> str:
        """SHA-256 of kind, shape and little-endian float32 entries."""
        head = f"{self.kind} {self.labels.shape} ".encode()
        return hashlib.sha256(head + self.labels.astype("<f4").tobytes()).hexdigest()

    @property
    def temperature(self) -> float:
        """Score temperature: the median mean squared distance between two labels, over 8.

        Without it, cross-entropy on `scores` saturates and its float32 gradient is exactly zero.
        """
        rows, columns = np.triu_indices(len(self.labels), 1)
        return float(np.median(self.squared_distance(self.labels)[rows, columns]) / 8)

    @property
    def spread(self) -> float:
        """Root mean square of the labels' entries about the mean label."""
        return float((self.labels - self.labels.mean(0, dtype=np.float64)).std())

    def squared_distance(self, predictions: np.ndarray) -> np.ndarray:
        """Mean squared distance of predictions [N, *label shape] to each label: float64 [N, K]."""
        flat = predictions.reshape(len(predictions), -1).astype(np.float64)
        bank = self.labels.reshape(len(self.labels), -1).astype(np.float64)
        return np.stack([((flat - row) ** 2).mean(1) for row in bank], axis=1)

    def smooth_l1(self, predictions: np.ndarray) -> np.ndarray:
        """Mean smooth L1 of predictions [N, *label shape] to each label: float64 [N, K].

        Per entry d: d*d/2 if |d| < 1, else |d| - 1/2 (the framework's form, which the threshold of
        3.5 of Chen et al. 2021 presumes; the paper's printed formula differs).
        """
        flat = predictions.reshape(len(predictions), -1).astype(np.float64)
        bank = self.labels.reshape(len(self.labels), -1).astype(np.float64)
        return np.stack([smooth_l1(flat - row).mean(1) for row in bank], axis=1)

    def matched_to(self, classes: Sequence[str]) -> LabelBank:
        """The same bank in the order of `classes`, matched by name.

        Raises:
            VivavoceError: a class has no label here, or a label here is of no class.
        """
        place = {name: k for k, name in enumerate(self.classes)}
        if missing := [name for name in classes if name not in place]:
            raise VivavoceError(
                f"the label bank ({self.kind}, {len(self.classes)} classes) has no label for {missing[0]!r}; "
                "build one for these classes with: vivavoce labels build"
            )
        if extra := sorted(place.keys() - set(classes)):
            raise VivavoceError(
                f"the label bank ({self.kind}, {len(self.classes)} classes) is for other classes: "
                f"{extra[0]!r} is not one of the {len(classes)} here"
            )
        order = [place[name] for name in classes]
        return replace(
            self,
            labels=self.labels[order],
            classes=tuple(classes),
            spoken=tuple(self.spoken[k] for k in order) if self.spoken else (),
            frames=None if self.frames is None else tuple(self.frames[k] for k in order),
            members=None if self.members is None else tuple(self.members[k] for k in order),
        )

    def averaged(self) -> LabelBank:
        """The same bank with one label of each class: the mean of its own."""
        if self.members is None:
            return self
        means = [rows[:count].mean(0) for rows, count in zip(self.labels, self.members, strict=True)]
        return replace(self, labels=np.stack(means), members=None)

    def describe(self) -> Label:
        """The manifest's view of this bank."""
        return Label(
            kind=self.kind,
            shape=self.shape,
            minimum=float(self.labels.min()),
            maximum=float(self.labels.max()),
            digest=self.digest,
            temperature=self.temperature,
            frames=self.frames,
            mel=self.mel,
        )

    def save(self, path: str | Path) -> None:
        """Write an `.npz` with the labels and their description.

        Raises:
            VivavoceError: the file cannot be written.
        """
        about = {
            "schema": 1 if self.members is None else SCHEMA, "kind": self.kind, "classes": self.classes,
            "spoken": self.spoken, "frames": self.frames, "mel": self.mel, "recipe": self.recipe,
            "digest": self.digest, "members": self.members,
        }  # fmt: skip
        text = np.array(msgspec.json.encode(about).decode())
        with replacing(Path(path)) as fresh, fresh.open("wb") as file:
            np.savez_compressed(file, labels=self.labels, about=text)

    @classmethod
    def load(cls, path: str | Path) -> LabelBank:
        """Read a bank that `save` wrote, or an archive with the arrays `bank` and `classes`.

        `bank` is [K, *label shape], of any type of numbers. Without `classes` they are called 0, 1, ...
        Nothing is unpickled.

        Raises:
            VivavoceError: not a bank, of a newer schema, or its digest does not fit its labels.
        """
        path = Path(path)
        arrays = read_arrays(path, "label bank")
        with naming(path):
            if "bank" in arrays and "about" not in arrays:
                labels, classes = read_plain(arrays)
                return cls(PLAIN, labels, classes)
            about = read_about(arrays, _About, path, "label bank")
            if about.schema > SCHEMA:
                raise VivavoceError(f"made by a newer vivavoce (schema {about.schema}); upgrade vivavoce")
            if "labels" not in arrays:
                raise VivavoceError("not a label bank (it has no array `labels`)")
            parts = (about.classes, about.spoken, about.frames, about.mel, about.recipe, about.members)
            bank = cls(about.kind, arrays["labels"], *parts)
            if bank.digest != about.digest:
                raise VivavoceError("the labels do not fit their digest; the file was changed or damaged")
            return bank


class _About(msgspec.Struct):
    schema: int
    kind: str
    classes: tuple[str, ...]
    spoken: tuple[str, ...]
    frames: tuple[int, ...] | None
    mel: Mel | None
    recipe: dict[str, str | int | float]
    digest: str
    members: tuple[int, ...] | None = None
