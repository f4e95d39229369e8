"""`report.json`, schema version 1: what an audit found, image by image."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from ..artifacts import Manifest, Preprocessing
from ..documents import json_of, parse_json
from ..errors import VivavoceError
from ..files import read_bytes
from .diagnosis.table import Check
from .protocol import Protocol
from .references import Reference
from .speed import Speed

SCHEMA = 1
"""Raised when earlier versions can no longer read a report."""
REVISION = "1.5"
"""Of the JSON Schema; the second number is raised when a field is added."""


class Model(msgspec.Struct, frozen=True):
    """The file that was audited."""

    file: str
    sha256: str
    """Over all its files; see `artifacts.identity.Identity`."""
    manifest: Manifest
    size: int | None = None
    """Bytes of all its files."""
    preprocessing: Preprocessing | None = msgspec.field(default=None, name="foreign")
    """Preprocessing of a file without a manifest; its class names are in `manifest`."""


class Shift(msgspec.Struct, frozen=True):
    """The same objects in other circumstances."""

    name: str
    digest: str
    """As of `Data`."""
    source: str | None
    """What was given as `--shifted`; None for an absolute path."""


class Data(msgspec.Struct, frozen=True):
    """The images it was audited on."""

    name: str
    digest: str
    """SHA-256 of the audited images' pixels and labels."""
    n: int
    """Audited images."""
    total: int
    """Images in the data set."""
    sample: str
    """How the audited ones were chosen."""
    class_counts: tuple[int, ...]
    matching: str
    """How the data's classes were matched with the model's."""
    source: str | None = None
    """What was given as `--data`; None for an absolute path, which means nothing elsewhere."""
    shifted: Shift | None = None
    """The set that it was compared with."""
    planned: int | None = None
    """Images of the sample, where the audit ended before it had attacked all of them: it audited the first
    `n` of a random order. None: all."""


class Clean(msgspec.Struct, frozen=True):
    """Shares in 0..1 on the unattacked images."""

    accuracy: float
    interval: tuple[float, float]
    """95 % Wilson interval of `accuracy`."""
    nearest: float | None
    """`accuracy`, where it comes from nearest-neighbour decoding."""
    threshold: float | None
    """Share of predictions within the threshold of the true label; label models only."""
    near: str | None = None
    """Which images those are, packed like a row's survivors."""


class Row(msgspec.Struct, frozen=True):
    """One attack at one epsilon."""

    attack: str
    targeted: bool
    epsilon: float
    epsilon_pixels: tuple[float, ...]
    """Half-width of the box per channel in 0..1; in the other norms the radius: l2 and l1 in units of
    0..1, l0 a number of pixels; for changes without an attack the severity."""
    accuracy: float
    """Share of all images still decided correctly; wrong ones count as wrong at every epsilon."""
    interval: tuple[float, float]
    """95 % Wilson interval of `accuracy`."""
    accuracy_initially_correct: float | None
    """The same as a share of the images decided correctly before the attack."""
    threshold_accuracy: float | None
    """Share of all images within the threshold of the true label, before and after the attack."""
    threshold_initially_correct: float | None
    """The same as a share of those within it before the attack."""
    rejected: float | None
    """Share of all images with an attacked prediction within the threshold of no label; label models only."""
    misled: float | None
    """Share of all images decided wrongly with a prediction within the threshold of that wrong label."""
    accuracy_rounded: float
    """`accuracy` after rounding the adversarial images to 8-bit pixels."""
    target_reached: float | None
    """Share of all images decided for the target class; targeted attacks only."""
    mean_perturbation: float
    """Mean over attacked images of the change's size in the protocol's norm, in the units of the radius."""
    max_perturbation: float
    gradient_evaluations: int
    queries: int
    seconds: float
    survivors: str
    """Which images are still right: bits, first image first, packed into base64."""
    survivors_threshold: str | None


class ImageOutcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """One image."""

    label: int
    clean: int
    """The class decided on the clean image."""
    robust: bool
    """Whether it survived every attack of the run at the largest epsilon."""
    file: str | None = None
    index: int | None = None
    target: int | None = None
    """The target class, where the user chose it."""
    shifted: bool | None = None
    """Whether the same object in the set of `--shifted` is decided correctly."""
    smallest: float | None = None
    """Size of the smallest change that breaks it, in units of epsilon; 0 if the clean image is wrong. None if
    no such change was found, or no attack looked for it."""


class Environment(msgspec.Struct, frozen=True):
    """Where the figures come from."""

    command: str
    seed: int
    provider: str
    versions: dict[str, str]
    machine: str
    """Architecture, such as `x86_64`."""
    processor: str | None = None
    """Its name, where the system knows it."""
    date: str | None = None
    """When the audit ended: ISO 8601, UTC."""
    seconds: float | None = None
    """How long it took, without opening the model; after `--resume` the last run alone."""

    @property
    def when(self) -> str | None:
        """Date, duration and processor in words; None for reports of earlier versions."""
        took = None if self.seconds is None else f"{self.seconds:.0f} s"
        date = None if self.date is None else self.date[:16].replace("T", " ") + " UTC"
        return ", ".join(filter(None, (date, took, self.processor))) or None


class Report(msgspec.Struct, frozen=True):
    """Everything an audit found."""

    model: Model
    data: Data
    protocol: Protocol
    loss: str
    clean: Clean
    rows: tuple[Row, ...]
    diagnosis: tuple[Check, ...]
    references: tuple[Reference, ...] = msgspec.field(name="baselines")
    notes: tuple[str, ...]
    """How attacks deviated from their publications, and why."""
    verdict: str
    images: tuple[ImageOutcome, ...]
    environment: Environment
    speed: Speed | None = None
    further: tuple[Report, ...] = ()
    """The same model under other protocols; a check repeats all of them."""
    schema: Literal[1] = SCHEMA

    @property
    def parts(self) -> tuple[Report, ...]:
        """A report for each protocol, this one first."""
        return (msgspec.structs.replace(self, further=()), *self.further) if self.further else (self,)

    def to_json(self) -> bytes:
        """The report as indented JSON."""
        return json_of(self)


def joined(reports: Sequence[Report]) -> Report:
    """One report of a model under several protocols.

    Raises:
        VivavoceError: two of them are of the same protocol.
    """
    first, *further = reports
    check_distinct([report.protocol.name for report in reports])
    return msgspec.structs.replace(first, further=tuple(further))


def check_distinct(protocols: Sequence[str]) -> None:
    """Refuse a protocol that is given twice.

    Raises:
        VivavoceError: one is.
    """
    for name in protocols:
        if protocols.count(name) > 1:
            raise VivavoceError(f"--protocol {name} is given twice; name each protocol once")


class _Head(msgspec.Struct):
    """What is read first."""

    schema: int = SCHEMA


def load_report(path: str | Path) -> Report:
    """Read a `report.json`.

    Raises:
        VivavoceError: not a report, damaged, or of a schema this package does not know.
    """
    from .validity import faults

    try:
        text = read_bytes(Path(path)).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise VivavoceError(
            f"{path}: not a report of an audit; give the .json file that audit robustness --output wrote"
        ) from None
    head = parse_json(text, _Head, str(path), "a report of an audit")
    if head.schema > SCHEMA:
        raise VivavoceError(
            f"{path}: a report of schema {head.schema}; this version reads up to {SCHEMA}: update vivavoce"
        )
    report = parse_json(text, Report, str(path), "a report of an audit")
    if fault := next(faults(report), None):
        raise VivavoceError(f"{path}: the report is damaged or was edited ({fault}); run the audit again")
    return report


def json_schema() -> dict:
    """JSON Schema of `report.json`; the copy that ships is `audit/report.schema.json`."""
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:vivavoce:audit-report:{REVISION}",
        "title": "Report of a vivavoce audit",
        "version": REVISION,
    }
    return head | msgspec.json.schema(Report)


def pack_bits(flags: np.ndarray) -> str:
    """Pack bool [n] into base64, first flag in the highest bit of the first byte."""
    return base64.b64encode(np.packbits(flags).tobytes()).decode()


def unpack_bits(text: str, n: int) -> np.ndarray:
    """Undo `pack_bits`: bool [n].

    Raises:
        ValueError: not the bits of n flags.
    """
    packed = np.frombuffer(base64.b64decode(text, validate=True), np.uint8)
    if len(packed) != -(-n // 8):
        raise ValueError(f"{len(packed)} bytes for {n} flags")
    return np.unpackbits(packed, count=n).astype(bool)
