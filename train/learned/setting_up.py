"""What an objective trains towards when the command line leaves it open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...errors import VivavoceError
from .registry import OBJECTIVES

LEARNED = "learned"
FOR_LEARNED: dict[str, Any] = {"ema": 0.0, "label_scaling": False}
"""Fields of any recipe that learned labels cannot have: they are the outputs of the weights in training."""
ONE_HOT = "category"
STATIC = "bert-vector"
TEXTS = ("imdb:", "yelp:")


def default_label(objective: str | None, label: str | None, bank: Path | None) -> str:
    """The label kind of a run with an objective's name, or without.

    Raises:
        VivavoceError: the objective makes its own labels, or needs one-hot ones.
    """
    if objective is None:
        return label or "speech"
    labels = OBJECTIVES[objective].labels if objective in OBJECTIVES else "one-hot"
    if labels == "vectors":
        return label or STATIC
    own = LEARNED if labels == "learned" else ONE_HOT
    if bank is not None or label not in (None, own):
        what = "learns its labels" if labels == "learned" else "is for one-hot labels"
        raise VivavoceError(f"--objective {objective} {what}; leave out --label and --bank")
    return own


def usual_recipe(objective: str | None, dataset: str) -> str:
    """The recipe of a run that names none."""
    if objective is None:
        return "fast"
    return "adaptive-text" if dataset.startswith(TEXTS) else "adaptive"
