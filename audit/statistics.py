"""Intervals for accuracies."""

from __future__ import annotations

import math

Z95 = 1.959963984540054
"""97.5 % point of the normal distribution."""


def wilson(successes: int, trials: int, z: float = Z95) -> tuple[float, float]:
    """Wilson score interval of a share (Wilson 1927): lower and upper end in 0..1.

    For no trials nothing is known: (0, 1).
    """
    if trials == 0:
        return 0.0, 1.0
    share = successes / trials
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials**2))
    return max(0.0, centre - half), min(1.0, centre + half)
