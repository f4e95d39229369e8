"""`report.json`, schema version 1: what an audit found, image by image."""

from __future__ import annotations

import base64
import hashlib
import platform
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from ..artifacts import ExportedModel, Manifest
from ..errors import VivavoceError
from ..images import ImageSet
from .baselines import Baseline
from .diagnosis.checks import Check
from .diagnosis.verdict import verdict
from .evaluate import Evaluation, Outcome
from .protocol import Protocol
from .statistics import wilson
from .target import Target

SCHEMA = 1


class Model(msgspec.Struct, frozen=True):
    """The file that was audited."""

    file: str
    sha256: str
    manifest: Manifest


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


class Clean(msgspec.Struct, frozen=True):
    """Shares in 0..1 on the unattacked images."""

    accuracy: float
    interval: tuple[float, float]
    """95 % Wilson interval of `accuracy`."""
    nearest: float | None
    """`accuracy`, where it comes from nearest-neighbour decoding."""
    threshold: float | None
    """Share of predictions within the threshold of the true label; label models only."""


class Row(msgspec.Struct, frozen=True):
    """One attack at one epsilon."""

    attack: str
    targeted: bool
    epsilon: float
    epsilon_pixels: tuple[float, ...]
    """Half-width of the box per channel in 0..1; for l2 the radius."""
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
    """Mean over attacked images of the change's size in the protocol's norm, in units of 0..1."""
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


class Environment(msgspec.Struct, frozen=True):
    """Where the figures come from."""

    command: str
    seed: int
    provider: str
    versions: dict[str, str]
    machine: str


class Report(msgspec.Struct, frozen=True):
    """Everything an audit found."""

    model: Model
    data: Data
    protocol: Protocol
    loss: str
    clean: Clean
    rows: tuple[Row, ...]
    diagnosis: tuple[Check, ...]
    baselines: tuple[Baseline, ...]
    notes: tuple[str, ...]
    """What attacks had to do otherwise than published, and why."""
    verdict: str
    images: tuple[ImageOutcome, ...]
    environment: Environment
    schema: Literal[1] = SCHEMA

    def to_json(self) -> bytes:
        """The report as indented JSON."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"


def load_report(path: str | Path) -> Report:
    """Read a `report.json`.

    Raises:
        VivavoceError: not a report, or of a schema this package does not know.
    """
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=Report)
    except OSError as error:
        raise VivavoceError(f"{path}: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise VivavoceError(f"{path}: not a report of an audit: {error}") from error


def json_schema() -> dict:
    """JSON Schema of `report.json`; the copy that ships is `audit/report.schema.json`."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | msgspec.json.schema(Report)


def write_report(
    target: Target,
    images: ImageSet,
    matching: str,
    protocol: Protocol,
    evaluation: Evaluation,
    checks: tuple[Check, ...],
    baselines: tuple[Baseline, ...],
    command: str,
    seed: int,
) -> Report:
    """Sum an evaluation up."""
    threshold = target.model.manifest.decoding.threshold is not None
    clean = _clean(evaluation, target.model.manifest.decoding.rule == "nearest", threshold)
    rows = tuple(_row(outcome, evaluation, threshold) for outcome in evaluation.outcomes)
    return Report(
        model=_model(target.model),
        data=_data(images, evaluation, matching, seed),
        protocol=protocol,
        loss=target.loss,
        clean=clean,
        rows=rows,
        diagnosis=checks,
        baselines=baselines,
        notes=tuple(target.notes),
        verdict=verdict(evaluation.robust(), protocol.described, checks),
        images=_images(images, evaluation),
        environment=_environment(command, seed, target.model),
    )


def _model(model: ExportedModel) -> Model:
    return Model(model.path.name, hashlib.sha256(model.path.read_bytes()).hexdigest(), model.manifest)


def _data(images: ImageSet, evaluation: Evaluation, matching: str, seed: int) -> Data:
    n, total = len(evaluation.indices), len(images)
    counts = np.bincount(evaluation.labels, minlength=len(images.classes))
    sample = "all images" if n == total else f"a stratified sample of {n} of {total}, seed {seed}"
    return Data(images.name, evaluation.digest, n, total, sample, tuple(counts.tolist()), matching)


def _clean(evaluation: Evaluation, nearest: bool, threshold: bool) -> Clean:
    accuracy = float(evaluation.right.mean())
    interval = wilson(int(evaluation.right.sum()), len(evaluation.labels))
    return Clean(
        accuracy,
        interval,
        accuracy if nearest else None,
        float(evaluation.near.mean()) if threshold else None,
    )


def _row(outcome: Outcome, evaluation: Evaluation, threshold: bool) -> Row:
    n = len(evaluation.labels)
    attacked = evaluation.right | evaluation.near
    return Row(
        attack=outcome.attack,
        targeted=outcome.targeted,
        epsilon=outcome.epsilon,
        epsilon_pixels=tuple(float(r) for r in outcome.ball.radius.ravel()),
        accuracy=float(outcome.right.mean()),
        interval=wilson(int(outcome.right.sum()), n),
        accuracy_initially_correct=_share(outcome.right, evaluation.right),
        threshold_accuracy=float(outcome.near.mean()) if threshold else None,
        threshold_initially_correct=_share(outcome.near, evaluation.near) if threshold else None,
        rejected=float(outcome.rejected.mean()) if threshold else None,
        misled=float(outcome.misled.mean()) if threshold else None,
        accuracy_rounded=float(outcome.rounded.mean()),
        target_reached=float(outcome.reached.mean()) if outcome.targeted else None,
        mean_perturbation=float(outcome.moved[attacked].mean()) if attacked.any() else 0.0,
        max_perturbation=float(outcome.moved.max()),
        gradient_evaluations=outcome.gradients,
        queries=outcome.queries,
        seconds=round(outcome.seconds, 3),
        survivors=pack_bits(outcome.right),
        survivors_threshold=pack_bits(outcome.near) if threshold else None,
    )


def _share(part: np.ndarray, whole: np.ndarray) -> float | None:
    return float(part[whole].mean()) if whole.any() else None


def _images(images: ImageSet, evaluation: Evaluation) -> tuple[ImageOutcome, ...]:
    robust = evaluation.robust()
    return tuple(
        ImageOutcome(
            label=int(label),
            clean=int(decision),
            robust=bool(survived),
            file=images.files[i] if images.files else None,
            index=None if images.files else int(i),
        )
        for i, label, decision, survived in zip(
            evaluation.indices, evaluation.labels, evaluation.decisions, robust, strict=True
        )
    )


def _environment(command: str, seed: int, model: ExportedModel) -> Environment:
    from importlib.metadata import PackageNotFoundError, version

    versions = {"python": platform.python_version()}
    for name in ("vivavoce", "numpy", "onnx", "onnxruntime", "onnxruntime-gpu", "torch"):
        if name == "torch" and model.path.suffix == ".onnx":
            continue
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    provider = "torch" if model.path.suffix != ".onnx" else "onnxruntime"
    device = getattr(model, "device", "cpu")
    return Environment(command, seed, f"{provider} on {device}", versions, platform.machine())


def pack_bits(flags: np.ndarray) -> str:
    """Pack bool [n] into base64, first flag in the highest bit of the first byte."""
    return base64.b64encode(np.packbits(flags).tobytes()).decode()


def unpack_bits(text: str, n: int) -> np.ndarray:
    """Undo `pack_bits`: bool [n]."""
    packed = np.frombuffer(base64.b64decode(text), np.uint8)
    return np.unpackbits(packed, count=n).astype(bool)
