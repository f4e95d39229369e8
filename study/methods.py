"""The rows of a comparison of learned objectives, by the names of the adaptive-label paper's tables."""

from __future__ import annotations

from typing import Any

from ..train.learned.registry import OBJECTIVES

METHODS: dict[str, dict[str, Any]] = {
    method: {"name": name, **settings}
    for name, objective in OBJECTIVES.items()
    for method, settings in objective.methods.items()
}
"""Method -> what `train.learned.settings.resolve_settings` takes for it."""
BASELINE = "std"


def vectors(method: str) -> str:
    """File name of the bank with a method's class vectors, in its run's folder."""
    return f"{OBJECTIVES[METHODS[method]['name']].vectors}.npz"
