"""One audit from the file to the report, for the commands and the Python API."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..artifacts import ExportedModel
from ..errors import VivavoceError
from ..files import check_parent
from ..images.imageset import to_float
from .attacks.base import Ball
from .diagnosis.observing import observe, observe_answers
from .diagnosis.probes import Probes, choose, telling_epsilon
from .diagnosis.table import OF_ANSWERS, diagnose
from .digests import image_digests, joint_digest
from .evaluate import Enough, blank, evaluate
from .learning import learn, named_patterns
from .natural.examples import worst_examples
from .outcomes import Evaluation
from .plan import Plan, Settings
from .references import Reference, references
from .report import Report
from .sharding import Spread
from .state import StateFile, fingerprint
from .summary import write_report

PROBED = Ball("linf", np.full((1, 1, 1), 8 / 255, np.float32))
"""The ball of the diagnosis where the audit is in a norm that its probes do not know."""
Progress = Callable[[str, int, int], None]
"""Called with the current step, and the finished and total number of items (0 and 0: not counted)."""


@dataclass(frozen=True)
class Audit:
    """A finished audit: its report, and the data behind its pictures and sounds."""

    report: Report
    evaluation: Evaluation
    model: ExportedModel
    patterns: dict[str, np.ndarray]
    """What universal attacks learned, float32 [C, height, width], by row: `patch-universal@0.05`."""


def robustness(
    model: ExportedModel,
    settings: Settings | None = None,
    progress: Progress = lambda *_: None,
    enough: Enough | None = None,
) -> Audit:
    """Audit an opened model.

    Args:
        model: from `vivavoce.artifacts.open_model`.
        settings: how to audit; None: the defaults of `audit robustness`.
        progress: called after every batch and check of the diagnosis.
        enough: ends the attacks early, on whole images; see `evaluate`. Its evaluation is in the order of the
            attacks, which is random; the report has the finished images in the order of the data set.

    Raises:
        VivavoceError: the data do not fit the model, or an input of `settings` cannot be used.
    """
    settings, started = settings or Settings(), time.perf_counter()
    if settings.shifted and (settings.spread or settings.resume):
        raise VivavoceError(
            "--shifted needs no --resume or --engine ray: it only asks the model; leave them out"
        )
    if settings.spread and settings.resume:
        raise VivavoceError(
            "--resume cannot be used with --engine ray, which restarts lost shards itself; drop one of them"
        )
    if settings.protocol and settings.protocol.natural and (settings.references or settings.targets):
        raise VivavoceError("--references and --targets need attacks; --protocol natural has none")
    plan = Plan.of(model, settings).in_random_order()
    target = plan.target
    learning = _named(progress, "learning")
    target.patterns = learn(target, plan.images, plan.training, plan.protocol, plan.seed, learning)
    state = _state(plan, settings.resume) if settings.resume else None
    evaluation = _evaluate(plan, state, settings.spread, progress, enough)
    evaluation = evaluation.at(np.argsort(evaluation.indices))
    plan = plan.of_images(evaluation.indices)
    probes = _probes(plan, evaluation)
    if plan.protocol.natural:
        checks = diagnose(observe_answers(probes, evaluation), OF_ANSWERS)
        evaluation.examples = worst_examples(plan, evaluation)
    else:
        checks = diagnose(observe(probes, evaluation, plan.protocol, _named(progress, "diagnosis")))
    beside: tuple[Reference, ...] = ()
    if settings.references:
        beside = tuple(references(probes, _named(progress, "references")))
    report = write_report(plan, evaluation, checks, beside, time.perf_counter() - started)
    return Audit(report, evaluation, model, named_patterns(target, plan.protocol))


def _named(progress: Progress, what: str) -> Callable[[str], None]:
    return lambda name: progress(f"{what}: {name.replace('_', ' ')}", 0, 0)


def _state(plan: Plan, path: Path) -> StateFile:
    """The file that keeps the state of this audit.

    Raises:
        VivavoceError: its folder does not exist.
    """
    check_parent(path)
    digests = list(image_digests(plan.images, plan.indices, plan.fit))
    lessons = image_digests(plan.images, plan.training, plan.fit)
    return StateFile(path, fingerprint(plan.target, plan.shard, digests, joint_digest(lessons)), digests)


def _evaluate(
    plan: Plan, state: StateFile | None, spread: Spread | None, progress: Progress, enough: Enough | None
) -> Evaluation:
    """The protocol itself."""
    start = blank(plan.target, plan.images, plan.indices, plan.protocol)
    if state and state.path.exists():
        state.load(start, plan.target)
    steps = len(plan.indices) * len(start.outcomes)
    done = len(start.digests) * steps // max(len(plan.indices), 1)

    def advance(count: int, attack: str) -> None:
        nonlocal done
        done += count
        progress(attack, done, steps)

    if spread and enough:
        raise VivavoceError("an audit on Ray cannot end early: its shards run at the same time")
    if spread:
        return spread(plan.shard, plan.target, plan.images, advance)
    return evaluate(
        plan.target,
        plan.images,
        plan.indices,
        plan.protocol,
        seed=plan.seed,
        batch_size=plan.batch_size,
        goals=plan.goals,
        progress=advance,
        start=start,
        keep=lambda evaluation, _: state.save(evaluation, plan.target) if state else None,
        enough=enough or (lambda evaluation, done: False),
    )


def _probes(plan: Plan, evaluation: Evaluation) -> Probes:
    """The images of the diagnosis, and its ball."""
    fit = plan.fit
    places = choose(evaluation, plan.seed, fit)
    indices = evaluation.indices[places]
    empty = np.zeros((0, fit.height, fit.width, fit.channels), np.uint8)
    pixels = plan.images.pixels(indices, fit) if len(indices) else empty
    ball = PROBED
    if plan.protocol.norm in ("linf", "l2"):
        ball = plan.protocol.ball(telling_epsilon(evaluation), plan.target.model.manifest.input)
    labels = evaluation.labels[places]
    return Probes(plan.target, to_float(pixels), labels, places, indices, ball, plan.seed)
