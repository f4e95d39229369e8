"""Intervals for accuracies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

Z95 = 1.959963984540054
"""97.5 % point of the normal distribution."""


def wilson(successes: float, trials: float, z: float = Z95) -> tuple[float, float]:
    """Wilson score interval of a share (Wilson 1927): lower and upper end in 0..1.

    Without trials the interval is (0, 1).
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
    term = math.comb(pairs, more)
    total = term
    for k in range(more, pairs):
        term = term * (pairs - k) // (k + 1)
        total += term
    return total / 2**pairs


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for multiple tests (Holm 1979), in the given order.

    Rejecting those at or under alpha errs in any of them with probability alpha at most, however they depend.
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = largest
    return corrected


def smallest_drop(images: int, hypotheses: int, alpha: float) -> float | None:
    """Least drop of a share that `images` paired outcomes can show, with nothing gained: in 0..1.

    It must stand the sign test after Holm's first step; None where even losing every image would not.
    """
    lost = math.ceil(math.log2(hypotheses / alpha))
    return lost / images if lost <= images else None


def largest_drop(lost: int, gained: int, images: int, alpha: float) -> float:
    """Largest drop of a share that paired outcomes leave open: upper end of a one-sided interval, in 0..1.

    The score interval for a difference of paired shares (Tango 1998, Statistics in Medicine 17): the largest
    drop whose score test does not reject it at level `alpha`. Unlike the normal approximation it stays wide
    where few images, or none, changed.

    Args:
        lost: images right before and wrong after.
        gained: images wrong before and right after.
        images: all images, at least one.
        alpha: probability that a true drop lies above.
    """
    z = NormalDist().inv_cdf(1 - alpha)
    low, high = (lost - gained) / images, 1.0
    for _ in range(60):
        drop = (low + high) / 2
        # Maximum-likelihood share of gained images among models with this drop: the root of a quadratic.
        b = (2 * images - lost + gained) * drop - lost - gained
        c = -gained * drop * (1 - drop)
        share = (math.sqrt(b * b - 8 * images * c) - b) / (4 * images)
        spread = math.sqrt(max(0.0, images * (2 * share + drop * (1 - drop))))
        if lost - gained - images * drop + z * spread > 0:
            low = drop
        else:
            high = drop
    return high


def largest_mean_drop(drops: np.ndarray, alpha: float) -> float:
    """Largest mean drop that paired differences leave open: upper end of a one-sided normal interval.

    Args:
        drops: before minus after of every image, in units of a share, float [n].
        alpha: probability that a true mean lies above.
    """
    z, n = NormalDist().inv_cdf(1 - alpha), len(drops)
    spread = math.sqrt(float(drops.var()) + 1 / n)  # as if one more image differed, so that it stays wide
    return float(drops.mean()) + z * spread / math.sqrt(n)
