"""Runs whose figures say little: they diverged, did not learn, fell back, or overfitted to their attack."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from .epoch import RUNAWAY, Epoch, short_loss

MARGIN = 0.1
"""Share of the way from guessing to perfect that a run must go to count as having learned."""


def doubt(history: Sequence[Epoch], classes: int) -> str | None:
    """Say why the figures of a run should not be compared with those of other runs.

    Args:
        history: its epochs.
        classes: number of classes.

    Returns:
        The reason in words; None if there is no reason.
    """
    if not history:
        return None
    chance, last = 1 / classes, history[-1]
    kept, most = max(history, key=lambda e: e.rank), max(e.validation_accuracy for e in history)
    if overfitted := list(takewhile(lambda e: e.overfitted, reversed(history))):
        first = overfitted[-1].epoch
        return f"catastrophic overfitting from epoch {first} to the end; epoch {kept.epoch} is kept"
    if last.train_loss > RUNAWAY:
        return f"it diverged: training loss {short_loss(last.train_loss)}; try a lower --learning-rate"
    if most < min(2 * chance, chance + MARGIN * (1 - chance)):
        return f"it did not learn: validation accuracy {most:.1%} at best, {chance:.1%} by guessing"
    if last.validation_accuracy < most / 2:
        fall = f"fell from {most:.1%} to {last.validation_accuracy:.1%}"
        return f"validation accuracy {fall}; epoch {kept.epoch} is kept"
    return None
