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
from .budget import ANSWERED, DIAGNOSED, Pace
from .diagnosis.observing import observe, observe_answers
from .diagnosis.probes import FEWEST, Probes, choose, most, telling_epsilon
from .diagnosis.table import OF_ANSWERS, Check, diagnose
from .digests import image_digests, joint_digest
from .evaluate import Enough, blank, evaluate
from .learning import learn, named_patterns
from .natural.examples import worst_examples
from .outcomes import Evaluation
from .plan import Plan, Settings
from .references import Reference, references
from .report import Report
from .sharding import Spread
from .state import Running, StateFile, fingerprint
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
    left: Callable[[float], None] = lambda seconds: None,
) -> Audit:
    """Audit an opened model.

    Args:
        model: from `vivavoce.artifacts.open_model`.
        settings: how to audit; None: the defaults of `audit robustness`.
        progress: called after every batch and check of the diagnosis.
        enough: ends the attacks early, on whole images; see `evaluate`. Its evaluation is in the order of the
            attacks, which is random; the report has the finished images in the order of the data set.
        left: called after every batch with the seconds that are left, diagnosis included, by estimate.

    Raises:
        VivavoceError: the data do not fit the model, or an input of `settings` cannot be used.
        KeyboardInterrupt: Ctrl-C; its text says what was kept and how to go on.
    """
    settings, started = settings or Settings(), time.perf_counter()
    check_settings(settings, enough)
    plan = Plan.of(model, settings).in_random_order()
    target = plan.target
    learning = _named(progress, "learning")
    target.patterns = learn(target, plan.images, plan.training, plan.protocol, plan.seed, learning)
    start = blank(target, plan.images, plan.indices, plan.protocol)
    running = Running(start, target, _state(plan, settings.resume) if settings.resume else None)
    passes = ANSWERED if plan.protocol.natural else DIAGNOSED
    pace = Pace(target, len(plan.indices), plan.batch_size, most(plan.fit), passes, plan.budget, started)
    try:
        evaluation = _evaluate(plan, running, pace, settings.spread, progress, enough, left)
        evaluation = evaluation.at(np.argsort(evaluation.indices))
        plan = plan.of_images(evaluation.indices)
        probes = _probes(plan, evaluation, running, pace.diagnosable(FEWEST))
        checks = _diagnosed(plan, evaluation, probes, _named(progress, "diagnosis"))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(running.ending) from None
    beside: tuple[Reference, ...] = ()
    if settings.references:
        beside = tuple(references(probes, _named(progress, "references")))
    report = write_report(plan, evaluation, checks, beside, time.perf_counter() - started)
    return Audit(report, evaluation, model, named_patterns(target, plan.protocol))


def check_settings(settings: Settings, enough: Enough | None = None) -> None:
    """Refuse settings that do not go together.

    Raises:
        VivavoceError: they do not.
    """
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
    if settings.spread and (enough or settings.budget):
        raise VivavoceError(
            "an audit with --engine ray cannot end early, as its shards run at the same time; "
            "leave out --budget, or give a smaller --limit"
        )
    if settings.references and settings.budget:
        raise VivavoceError("--references has no place in a --budget; leave one of them out")


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
    marks = fingerprint(plan.target, plan.shard, digests, joint_digest(lessons))
    return StateFile(path, plan.protocol.name, marks, digests)


def _evaluate(
    plan: Plan,
    running: Running,
    pace: Pace,
    spread: Spread | None,
    progress: Progress,
    enough: Enough | None,
    left: Callable[[float], None],
) -> Evaluation:
    """The protocol itself."""
    start = running.evaluation
    steps = len(plan.indices) * len(start.outcomes)
    done = len(start.digests) * steps // max(len(plan.indices), 1)

    figure = ""

    def advance(count: int, attack: str) -> None:
        nonlocal done
        done += count
        progress(attack + figure, done, steps)

    def keep(evaluation: Evaluation, finished: int) -> None:
        nonlocal figure
        pace.mark(finished)
        left(pace.seconds_left)
        if not plan.protocol.natural:  # hardly an image survives every change there is
            figure = f", {evaluation.robust()[:finished].mean():.0%} of {finished} survive"
        running.save()

    if spread:
        return spread(plan.shard, plan.target, plan.images, advance)
    pace.mark(len(start.digests))
    return evaluate(
        plan.target,
        plan.images,
        plan.indices,
        plan.protocol,
        seed=plan.seed,
        batch_size=pace.size,
        goals=plan.goals,
        progress=advance,
        start=start,
        keep=keep,
        enough=lambda *found: pace.enough(*found) or (enough is not None and enough(*found)),
    )


def _diagnosed(
    plan: Plan, evaluation: Evaluation, probes: Probes, progress: Callable[[str], None]
) -> tuple[Check, ...]:
    """Whether the attacks can be trusted."""
    if plan.protocol.natural:
        evaluation.examples = worst_examples(plan, evaluation)
        return diagnose(observe_answers(probes, evaluation), OF_ANSWERS)
    return diagnose(observe(probes, evaluation, plan.protocol, progress))


def _probes(plan: Plan, evaluation: Evaluation, running: Running, count: int) -> Probes:
    """The images of the diagnosis, and its ball."""
    fit = plan.fit
    places = choose(evaluation, plan.seed, count)
    indices = evaluation.indices[places]
    empty = np.zeros((0, fit.height, fit.width, fit.channels), np.uint8)
    pixels = plan.images.pixels(indices, fit) if len(indices) else empty
    ball = PROBED
    if plan.protocol.norm in ("linf", "l2"):
        ball = plan.protocol.ball(telling_epsilon(evaluation), plan.target.model.manifest.input)
    return Probes(
        plan.target,
        to_float(pixels),
        evaluation.labels[places],
        places,
        indices,
        ball,
        plan.seed,
        known=running.probes,
        keep=running.save,
    )
