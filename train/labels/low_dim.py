"""`low-dim`: a random vector with one entry per class (Chen et al. 2021, section 4.2)."""

from __future__ import annotations

from ...artifacts.bank import LabelBank
from .kinds import Request
from .uniform_random import drawn


def build(request: Request) -> LabelBank:
    """Draw vectors as long as there are classes, entries in 0..80: as many numbers as one-hot rows have."""
    return drawn("low-dim", request, (len(request.classes),))
