"""Cross-entropy on one-hot labels: the baseline of every comparison."""

from __future__ import annotations

from ..objectives import LogitObjective
from .registry import Request


def build(request: Request) -> LogitObjective:
    """Make the objective."""
    return LogitObjective()
