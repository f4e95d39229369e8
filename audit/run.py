"""One audit from the file to the report: what every command and caller runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..artifacts import ExportedModel
from ..errors import VivavoceError
from ..images import Fit, ImageSet, match, open_images
from ..images.imageset import to_float
from .baselines import Baseline, baselines
from .diagnosis.checks import diagnose
from .diagnosis.probes import Probes, choose, observe, telling_epsilon
from .digests import image_digests
from .evaluate import Evaluation, blank, evaluate
from .protocol import Protocol, default, target_classes
from .report import Report
from .sharding import Shard, Spread
from .state import StateFile, fingerprint
from .summary import Conduct, write_report
from .target import Target
from .targets import read_targets

Progress = Callable[[str, int, int], None]
"""Told what is being done, and how much of how much is finished (0 of 0: not counted)."""


@dataclass(frozen=True)
class Audit:
    """A finished audit: its report, and what pictures and sounds are made of."""

    report: Report
    evaluation: Evaluation
    model: ExportedModel


@dataclass(frozen=True)
class Settings:
    """How to audit."""

    protocol: Protocol | None = None
    """None: the paper's for models that vivavoce trained, AutoAttack's for all others."""
    data: str | None = None
    """As `open_images` takes it; None: the data set the model was trained on."""
    limit: int = 1000
    """Audit a stratified sample of at most this many images; 0: all."""
    seed: int = 0
    batch_size: int | None = None
    """Images at a time; None: what keeps resident memory under 2 GB, at most 64."""
    straight_through: bool = False
    """Take step functions as the identity in the gradient, instead of having none."""
    targets: Path | tuple[int, ...] | None = None
    """A target class for every audited image: a CSV file `file,target`, or their numbers."""
    resume: Path | None = None
    """Keep the state here, and go on from it if it is there."""
    baselines: bool = False
    """Lay noise, corruptions and the smallest perturbation beside the attacks."""
    command: str = ""
    spread: Spread | None = None
    """Attacks the images elsewhere (see `on_ray`), without a state to resume from; None: in this process."""


def robustness(
    model: ExportedModel, settings: Settings | None = None, progress: Progress = lambda *_: None
) -> Audit:
    """Audit an opened model.

    Args:
        model: from `vivavoce.artifacts.open_model`.
        settings: how; None: as `audit robustness` without options.
        progress: told of every finished batch and every check of the diagnosis.

    Raises:
        VivavoceError: the data do not fit the model, or an input of `settings` cannot be used.
    """
    settings = settings or Settings()
    if settings.spread and settings.resume:
        raise VivavoceError(
            "--resume keeps the state of an audit in one process; leave it out with --engine ray, "
            "which begins lost shards again by itself"
        )
    source = source_of(model, settings.data)
    images, matching = match(open_images(source), model.manifest.classes, model.named)
    indices = images.sample(settings.limit, settings.seed)
    goals = _goals(settings.targets, images, indices)
    target = Target(model, straight_through=settings.straight_through)
    batch_size = settings.batch_size or target.fitting_batch()
    target.try_gradient(to_float(images.pixels(indices[:batch_size], Fit.of(model.manifest.input))))
    protocol = (settings.protocol or default(model.manifest)).fitted(target)
    settings = replace(settings, protocol=protocol, batch_size=batch_size)
    evaluation = _evaluate(target, images, indices, goals, settings, progress)
    probes = _probes(target, images, evaluation, settings)
    watch = _named(progress, "diagnosis")
    checks = diagnose(observe(probes, evaluation, watch))
    beside: tuple[Baseline, ...] = ()
    if settings.baselines:
        beside = tuple(baselines(probes, _named(progress, "baselines")))
    if settings.resume:
        settings.resume.unlink(missing_ok=True)
    conduct = Conduct(protocol, settings.seed, source, matching, goals, settings.command)
    report = write_report(target, images, evaluation, checks, beside, conduct)
    return Audit(report, evaluation, model)


def source_of(model: ExportedModel, data: str | None) -> str:
    """The data set to audit on: the one asked for, else the one the model was trained on.

    Raises:
        VivavoceError: there is neither.
    """
    trained = model.manifest.training
    source = data or (trained.dataset if trained else None)
    if source is None:
        raise VivavoceError("this model does not say what it was trained on; give --data")
    return source


def _goals(
    targets: Path | tuple[int, ...] | None, images: ImageSet, indices: np.ndarray
) -> np.ndarray | None:
    if targets is None:
        return None
    return read_targets(targets, images, indices) if isinstance(targets, Path) else np.array(targets)


def _named(progress: Progress, what: str) -> Callable[[str], None]:
    return lambda name: progress(f"{what}: {name.replace('_', ' ')}", 0, 0)


def _evaluate(
    target: Target,
    images: ImageSet,
    indices: np.ndarray,
    goals: np.ndarray | None,
    settings: Settings,
    progress: Progress,
) -> Evaluation:
    """The protocol itself, with its state kept if that is wanted."""
    protocol, state = settings.protocol or default(target.model.manifest), None
    batch = settings.batch_size or 1
    start = blank(target, images, indices, protocol)
    if goals is None:
        goals = target_classes(images.labels, target.classes, settings.seed)[indices]
    if settings.resume:
        if not settings.resume.absolute().parent.is_dir():
            raise VivavoceError(f"{settings.resume.parent}: no such folder to keep the state in")
        digests = list(image_digests(images, indices, Fit.of(target.model.manifest.input)))
        audit = fingerprint(target, protocol, digests, indices, goals, settings.seed, batch)
        state = StateFile(settings.resume, audit, digests)
        if settings.resume.exists():
            state.load(start, target)
    steps = len(indices) * len(start.outcomes)
    done = len(start.digests) * steps // max(len(indices), 1)

    def advance(count: int, attack: str) -> None:
        nonlocal done
        done += count
        progress(attack, done, steps)

    if settings.spread:
        whole = Shard(indices, goals, protocol, settings.seed, batch, settings.straight_through)
        return settings.spread(whole, target, images, advance)
    return evaluate(
        target,
        images,
        indices,
        protocol,
        seed=settings.seed,
        batch_size=batch,
        goals=goals,
        progress=advance,
        start=start,
        keep=lambda evaluation, _: state.save(evaluation, target) if state else None,
    )


def _probes(target: Target, images: ImageSet, evaluation: Evaluation, settings: Settings) -> Probes:
    """The images of the diagnosis, and its ball."""
    places = choose(evaluation, settings.seed)
    indices = evaluation.indices[places]
    entry = target.model.manifest.input
    fit = Fit.of(entry)
    empty = np.zeros((0, fit.height, fit.width, fit.channels), np.uint8)
    pixels = images.pixels(indices, fit) if len(indices) else empty
    protocol = settings.protocol or default(target.model.manifest)
    ball = protocol.ball(telling_epsilon(evaluation), entry)
    return Probes(target, to_float(pixels), evaluation.labels[places], indices, ball, settings.seed)
