"""Repeats the audit of an earlier report on a new model, and compares the two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...artifacts import ExportedModel
from ..plan import Settings, protocol_of, source_of
from ..protocol import Protocol
from ..report import Report, load_report
from ..run import Audit, Progress
from ..several import audit_all, whole
from .comparison import Comparison, compare_reports
from .ending import endings_of
from .limits import Limits
from .repeating import audit_again, open_like


@dataclass(frozen=True)
class CheckResult:
    """The result of `check`: the comparison, and the audit of the new file."""

    comparison: Comparison
    audit: Audit


def check(
    model: ExportedModel | str | Path,
    baseline: Report | str | Path,
    limits: Limits | None = None,
    data: str | None = None,
    progress: Progress = lambda *_: None,
    shifted: str | None = None,
    early: bool = True,
) -> CheckResult:
    """Audit a model as its baseline was, and compare image by image.

    Args:
        model: opened, or a path or name.
        baseline: report of the earlier audit, or its file.
        limits: how much a model may drop; None: one point, alpha 0.05.
        data: where the baseline's images are; None: the baseline's own path, relative to the working
            folder or to the baseline.
        progress: as for `robustness`.
        shifted: where the baseline's shifted images are, likewise.
        early: end the attacks where the answer is decided; the new audit is then of some images only.

    Raises:
        OtherData: the images are not the baseline's.
        VivavoceError: a file cannot be used, or model and baseline do not fit.
    """
    report = baseline if isinstance(baseline, Report) else load_report(baseline)
    folder = None if isinstance(baseline, Report) else Path(baseline).parent
    opened = open_like(model, report) if isinstance(model, (str, Path)) else model
    endings = endings_of(opened, report, limits or Limits()) if early else []
    audit = audit_again(opened, report, data, folder, progress, shifted=shifted, endings=endings)
    return CheckResult(compare_reports(report, audit.report, limits, endings=endings), audit)


def compare(
    before: Report | ExportedModel,
    after: Report | ExportedModel,
    settings: Settings | None = None,
    alpha: float = 0.05,
    progress: Progress = lambda *_: None,
) -> Comparison:
    """Compare two reports, two models, or one of each, with two-sided tests and without a verdict.

    Args:
        before: a report, or a model, which is audited first.
        after: the same.
        settings: how to audit if both are models; a report has its own settings, except for `data`.
        alpha: probability that any row differs by chance alone.
        progress: as for `robustness`.

    Raises:
        VivavoceError: the images differ, or a model cannot be audited.
    """
    return compare_audits(before, after, settings, alpha, progress)[0]


def compare_audits(
    before: Report | ExportedModel,
    after: Report | ExportedModel,
    settings: Settings | None,
    alpha: float,
    progress: Progress,
    protocols: Sequence[Protocol] = (),
) -> tuple[Comparison, Report, Report]:
    """The same as `compare`, with both reports; two models are audited under these protocols, if any."""
    limits = Limits(alpha=alpha)
    data, shifted = (settings.data, settings.shifted) if settings else (None, None)
    if isinstance(before, Report):
        first = before
    elif isinstance(after, Report):
        first = audit_again(before, after, data, progress=progress, shifted=shifted).report
    else:
        settings = settings or Settings()
        first = whole(
            audit_all(before, settings, protocols or [protocol_of(settings, before)], progress)
        ).report
        data = data or source_of(before, None)
    if isinstance(after, Report):
        second = after
    else:
        second = audit_again(after, first, data, progress=progress, shifted=shifted).report
    return compare_reports(first, second, limits, gate=False), first, second
