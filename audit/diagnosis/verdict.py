"""The verdict: one sentence about robust accuracy and whether its gradients can be trusted."""

from __future__ import annotations

import numpy as np

from ..statistics import wilson
from .table import PIECEWISE, Check

ALWAYS = ("no gradient", "scores that are not finite", "box below one pixel step")
"""Suspicious checks that a verdict names even where gradients are masked."""


def verdict(survived: np.ndarray, under: str, checks: tuple[Check, ...]) -> str:
    """One sentence.

    Args:
        survived: bool [n], images that survived every attack.
        under: the attacks and their epsilon, in words.
        checks: the diagnosis.
    """
    masked = [c.meaning for c in checks if c.level == "masked"]
    suspicious = [c.meaning for c in checks if c.level == "suspicious"]
    if masked:
        masked += [c.meaning for c in checks if c.level == "suspicious" and c.name in ALWAYS]
        trust = f"masked because {'; '.join(masked)}"
    elif suspicious:
        trust = f"suspicious because {'; '.join(suspicious)}"
    else:
        trust = "trustworthy"
    by_nature = [c.meaning for c in checks if c.name == PIECEWISE]
    if by_nature:
        trust = "; ".join([*by_nature, *([trust] if masked or suspicious else [])])
        return f"{_accuracy(survived)} under {under}; {trust}"
    weak = [f"; the paper's attacks are too weak here: {c.meaning}" for c in checks if c.level == "weak"]
    return f"{_accuracy(survived)} under {under}, gradients {trust}{''.join(weak)}"


def _accuracy(survived: np.ndarray) -> str:
    low, high = wilson(int(survived.sum()), len(survived))
    return f"robust accuracy {survived.mean():.1%} (95 % interval {low:.1%} to {high:.1%})"
