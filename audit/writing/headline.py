"""A report in one plain sentence, and how good or bad the news is."""

from __future__ import annotations

from typing import Literal

from ..diagnosis.table import LEVELS, Level
from ..natural.heat import mean_accuracy, worst
from ..report import Report

Tone = Literal["good", "bad", "doubtful", "masked"]
LITTLE = 0.5
"""Of the clean accuracy; a model that keeps less under attack is bad news."""


def survived(report: Report) -> float:
    """Share of the images that survive every attack at the largest epsilon."""
    return sum(image.robust for image in report.images) / report.data.n


def trust(report: Report) -> Level:
    """The worst level of the diagnosis."""
    levels: list[Level] = [check.level for check in report.diagnosis]
    return LEVELS[max((LEVELS.index(level) for level in levels), default=0)]


def tone(report: Report) -> Tone:
    """What the verdict means: masked gradients, little left, doubtful attacks, or good news."""
    if trust(report) == "masked":
        return "masked"
    left = mean_accuracy(report.rows, report.data.n).accuracy if report.protocol.natural else survived(report)
    if left < LITTLE * report.clean.accuracy:
        return "bad"
    return "good" if trust(report) == "fine" else "doubtful"


def plainly(report: Report) -> str:
    """The result for readers who know nothing of attacks."""
    if report.protocol.natural:
        return _plainly_natural(report)
    right, left = (round(100 * share) for share in (report.clean.accuracy, survived(report)))
    protocol = report.protocol
    widest = 100 * max(protocol.ball(protocol.epsilons[-1], report.model.manifest.input).widths)
    change = "small changes"
    if protocol.norm == "linf":
        change = f"changes of every pixel by at most {widest:.2g} %"
    elif protocol.norm == "l0":
        change = f"changes of at most {protocol.written(protocol.epsilons[-1])} pixels"
    elif protocol.norm == "patch":
        change = f"a patch on {protocol.written(protocol.epsilons[-1])} of the image"
    sentence = (
        f"The model classifies {right} % of the {report.data.n} images correctly. "
        f"After {change}, it classifies {left} % correctly."
    )
    doubt = {
        "fine": "",
        "weak": " Stronger attacks would leave fewer.",
        "suspicious": " The attacks may be too weak here, so the true figure can be lower.",
        "masked": " The model hides its gradient from the attacks; the true figure is probably lower.",
    }
    return sentence + doubt[trust(report)]


def _plainly_natural(report: Report) -> str:
    mean, lowest = mean_accuracy(report.rows, report.data.n), worst(report.rows, 1)
    share, shift = round(100 * mean.accuracy), report.data.shifted
    clean = round(100 * report.clean.accuracy)
    sentence = f"The model classifies {clean} % of the {report.data.n} images correctly"
    if shift and not lowest:
        return f"{sentence}, and {share} % of their counterparts in {shift.name}."
    if len(mean.kinds) == 1:
        return f"{sentence}. With the change, it classifies {share} % correctly."
    return (
        f"{sentence}. With noise, blur, weather and other changes, it classifies {share} % correctly; "
        f"with the worst of them ({lowest[0].kind}), {round(100 * lowest[0].mean)} %."
    )
