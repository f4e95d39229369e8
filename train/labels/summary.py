"""What the commands say about a bank."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...console import say

if TYPE_CHECKING:
    from ...artifacts.bank import LabelBank


def describe(bank: LabelBank) -> None:
    """Lines about a bank: what it holds, how it was made, its nearest labels."""
    shape = "x".join(map(str, bank.shape))
    least, most = bank.labels.min(), bank.labels.max()
    several = "" if bank.members is None else f", {min(bank.members)} to {max(bank.members)} of each class"
    count = len(bank.classes) if bank.members is None else sum(bank.members)
    say(f"{bank.kind}: {count} labels of {shape}{several}, {least:.4g} to {most:.4g}")
    say(f"made by: {', '.join(f'{name} {value}' for name, value in bank.recipe.items())}")
    say(f"digest: {bank.digest}")
    say(f"closest: {closest(bank)}")
    warn(bank)


def closest(bank: LabelBank) -> str:
    """The two classes whose labels are nearest, and how near; of several labels of a class, their mean."""
    from ...artifacts.encoder_bank import own_metric
    from ...artifacts.metrics import METRICS
    from .statistics import closest_pair, nearest_by

    metric, bank = own_metric(bank), bank.averaged()
    if metric is None or metric == "smooth-l1":
        found = closest_pair(bank)
        return f"{found.first} and {found.second}, smooth L1 {found.loss:.2f}"
    found = nearest_by(metric, bank)
    text = f"{found.first} and {found.second}, {METRICS[metric].text(found.loss)}"
    bits = bank.labels[0].size
    return f"{text} ({round(found.loss * bits)} of {bits} bits)" if metric == "hamming" else text


def warn(bank: LabelBank) -> None:
    """Say which labels the usual threshold cannot tell apart, where there is one for such labels."""
    from .statistics import describe_indistinct

    if warning := describe_indistinct(bank):
        say(f"warning: {bank.kind}: {warning}", err=True)
