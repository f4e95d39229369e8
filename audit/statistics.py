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


def sign_test(more: int, fewer: int) -> float:
    """One-sided exact sign test (McNemar) of paired outcomes: p-value of at least `more` of `more + fewer`.

    Under the null hypothesis a discordant pair falls on either side with probability one half.
    """
    pairs = more + fewer
    return sum(math.comb(pairs, k) for k in range(more, pairs + 1)) / 2**pairs
