"""Summarises an evaluation as a report."""

from __future__ import annotations

import platform
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np

from ..artifacts import ExportedModel, Manifest
from ..artifacts.identity import identify
from ..artifacts.preprocessing import Fixed
from .diagnosis.table import Check
from .diagnosis.verdict import verdict
from .digests import image_digests, joint_digest
from .natural.heat import natural_verdict
from .natural.shift import SHIFTED
from .outcomes import Evaluation, Outcome
from .plan import Plan
from .references import Reference
from .report import Clean, Data, Environment, ImageOutcome, Model, Report, Row, Shift, pack_bits
from .speed import measure
from .statistics import wilson


def write_report(
    plan: Plan,
    evaluation: Evaluation,
    checks: tuple[Check, ...],
    references: tuple[Reference, ...],
    seconds: float | None = None,
) -> Report:
    """Summarise an evaluation that took so many seconds."""
    target = plan.target
    threshold = target.model.manifest.decoding.threshold is not None
    clean = _clean(evaluation, target.model.manifest.decoding.rule == "nearest", threshold)
    rows = tuple(_row(outcome, evaluation, threshold) for outcome in evaluation.outcomes)
    return Report(
        model=_model(target.model),
        data=_data(plan, evaluation),
        protocol=plan.protocol,
        loss=target.loss,
        clean=clean,
        rows=rows,
        diagnosis=checks,
        references=references,
        notes=tuple(target.notes),
        verdict=_verdict(plan, evaluation, rows, checks) + _cut(len(evaluation.labels), plan),
        images=_images(plan, evaluation),
        environment=_environment(plan, seconds),
        speed=measure(target.model),
    )


def so_far(report: Report, evaluation: Evaluation, manifest: Manifest) -> Report:
    """A report with the outcomes of a different model on some of its images; its other figures stay.

    Args:
        report: of the same protocol.
        evaluation: of these images.
        manifest: of the different model.
    """
    threshold = manifest.decoding.threshold is not None
    images = zip(evaluation.labels, evaluation.decisions, evaluation.robust(), strict=True)
    return msgspec.structs.replace(
        report,
        model=msgspec.structs.replace(report.model, manifest=manifest),
        data=msgspec.structs.replace(report.data, n=len(evaluation.labels)),
        clean=_clean(evaluation, manifest.decoding.rule == "nearest", threshold),
        rows=tuple(_row(outcome, evaluation, threshold) for outcome in evaluation.outcomes),
        images=tuple(ImageOutcome(int(k), int(decided), bool(robust)) for k, decided, robust in images),
    )


def _verdict(plan: Plan, evaluation: Evaluation, rows: tuple[Row, ...], checks: tuple[Check, ...]) -> str:
    if plan.protocol.natural:
        shifted = plan.images.shifted
        names = plan.images.name, shifted.name if shifted else ""
        return natural_verdict(rows, evaluation.right, names, checks)
    return verdict(evaluation.robust(), plan.protocol.described(plan.target.model.manifest.input), checks)


def _model(model: ExportedModel) -> Model:
    identity = identify(model.path)
    foreign = getattr(model, "preprocessing", None)
    if foreign is not None:
        bank = foreign.bank and _without_folder(foreign.bank)
        foreign = replace(foreign, classes=None, bank=bank, fix=_shown(foreign.fix))
    return Model(model.path.name, identity.sha256, model.manifest, identity.bytes, foreign)


def _shown(fix: dict[str, Fixed] | None) -> dict[str, Fixed] | None:
    """Values of inputs without folders of this machine."""
    return fix and {n: _without_folder(v) if isinstance(v, str) else v for n, v in fix.items()}


def _without_folder(path: str) -> str:
    """A path without folders of this machine."""
    return Path(path).name if Path(path).is_absolute() else path


def _data(plan: Plan, evaluation: Evaluation) -> Data:
    images = plan.images
    n, total = len(evaluation.indices), len(images)
    counts = np.bincount(evaluation.labels, minlength=len(images.classes))
    learned = f"; universal attacks learned from {len(plan.training)} others" if len(plan.training) else ""
    planned = None if n == plan.planned else plan.planned
    counted = tuple(counts.tolist())
    source, shift = _relative(plan.source), None
    if images.shifted is not None and plan.shifted is not None:
        digest = joint_digest(image_digests(images.shifted, evaluation.indices, plan.fit))
        shift = Shift(images.shifted.name, digest, _relative(plan.shifted))
    chosen = _sample(n, plan.planned, total, plan.seed) + learned
    return Data(
        images.name, evaluation.digest, n, total, chosen, counted, plan.matching, source, shift, planned
    )


def _cut(n: int, plan: Plan) -> str:
    """How many images an audit finished, in words; empty if all."""
    if n == plan.planned:
        return ""
    within = f" within the budget of {plan.budget.text}" if plan.budget else ""
    return f"; {n} of {plan.planned} images were finished{within}"


def _sample(n: int, planned: int, total: int, seed: int) -> str:
    """How the audited images were chosen, in words."""
    sample = f"{planned} of {total}" if planned < total else f"all {total}"
    if n < planned:
        kind = "a stratified sample of " if planned < total else ""
        return f"the first {n} in random order of {kind}{sample}, seed {seed}"
    return "all images" if n == total else f"a stratified sample of {sample}, seed {seed}"


def _relative(source: str) -> str | None:
    """A path that means something elsewhere; None if it does not."""
    return None if Path(source).is_absolute() else Path(source).as_posix()


def _clean(evaluation: Evaluation, nearest: bool, threshold: bool) -> Clean:
    accuracy = float(evaluation.right.mean())
    interval = wilson(int(evaluation.right.sum()), len(evaluation.labels))
    return Clean(
        accuracy,
        interval,
        accuracy if nearest else None,
        float(evaluation.near.mean()) if threshold else None,
        pack_bits(evaluation.near) if threshold else None,
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


def _images(plan: Plan, evaluation: Evaluation) -> tuple[ImageOutcome, ...]:
    files = plan.images.files
    robust, smallest = evaluation.robust(), evaluation.smallest
    shifted = next((outcome.right for outcome in evaluation.outcomes if outcome.attack == SHIFTED), None)
    return tuple(
        ImageOutcome(
            label=int(label),
            clean=int(decision),
            robust=bool(survived),
            file=files[i] if files else None,
            index=None if files else int(i),
            target=int(plan.goals[k]) if plan.chosen else None,
            shifted=None if shifted is None else bool(shifted[k]),
            smallest=None if smallest is None or np.isinf(smallest[k]) else float(smallest[k]),
        )
        for k, (i, label, decision, survived) in enumerate(
            zip(evaluation.indices, evaluation.labels, evaluation.decisions, robust, strict=True)
        )
    )


def _environment(plan: Plan, seconds: float | None) -> Environment:
    model = plan.target.model
    provider = "torch" if model.path.suffix != ".onnx" else "onnxruntime"
    device = getattr(model, "device", "cpu")
    return Environment(
        command=plan.command,
        seed=plan.seed,
        provider=f"{provider} on {device}",
        versions=versions(model),
        machine=platform.machine(),
        processor=_processor(),
        date=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        seconds=None if seconds is None else round(seconds, 1),
    )


def _processor() -> str | None:
    """The processor's name: Linux shows it in a file, other systems by themselves."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor()) or None


def versions(model: ExportedModel) -> dict[str, str]:
    """Versions of the packages that an audit of this model uses, by name."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version()}
    for name in ("vivavoce", "numpy", "onnx", "onnxruntime", "onnxruntime-gpu", "torch"):
        if name == "torch" and model.path.suffix == ".onnx":
            continue
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
