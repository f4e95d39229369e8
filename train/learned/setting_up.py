"""What an objective trains towards when the command line leaves it open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...errors import VivavoceError
from .aim import Aim
from .lwal import KIND, start

__all__ = ["FOR_LEARNED", "LEARNED", "default_label", "start"]

LEARNED = KIND
FOR_LEARNED: dict[str, Any] = {"ema": 0.0, "label_scaling": False}
"""Fields of any recipe that learned labels cannot have: they are the outputs of the weights in training."""
ONE_HOT = "category"
STATIC = "bert-vector"


def default_label(aim: Aim | None, label: str | None, bank: Path | None) -> str:
    """The label kind of a run.

    Raises:
        VivavoceError: the objective makes its own labels, or needs one-hot ones.
    """
    if aim is None:
        return label or "speech"
    if aim.name == "static":
        return label or STATIC
    own = LEARNED if aim.name == "lwal" else ONE_HOT
    if bank is not None or label not in (None, own):
        what = "learns its labels" if aim.name == "lwal" else "is for one-hot labels"
        raise VivavoceError(f"--objective {aim.name} {what}; leave out --label and --bank")
    return own
