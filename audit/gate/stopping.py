"""When a check can end before it has attacked all images: what all of them would show is decided.

The images come in random order. Of all n images, D would go down in a row (in a row of one attack: be lost)
and U would go up. After m images, d of them down, u up and s neither, the probability of this sequence is

    P(D, U) = C(n-m, D-d) / C(n, D)  *  C(n-m-(D-d), U-u) / C(n-D, U)

For any distribution Q of such sequences, Q / P(D, U) is a martingale with mean 1 under the true D and U, so
the probability that it ever reaches 1 / delta is at most delta (Ville 1939). Every D and U for which it does
is excluded. This is a confidence sequence for sampling without replacement (Waudby-Smith and Ramdas 2020,
NeurIPS 33, arXiv 2006.04347), after Robbins 1970. Q learns the two rates as it goes (Krichevsky and Trofimov
1981). What cannot happen any more has P = 0, so the sequence also knows what is certain.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

Decision = Literal["passed", "failed"]

FOR_FAILING = 1 / 50
"""Share of alpha that is spent on ending with `failed`; the test on all images gets the rest."""
FOR_PASSING = 1 / 5
"""Of alpha: probability that a check ends with `passed` that would have failed on all images."""
SAME = 20.0
"""Prior weight of images whose outcome does not change, against one half of those that do."""


@dataclass(frozen=True)
class Row:
    """A figure of the baseline, image by image, in the order of the attack."""

    values: np.ndarray
    """int64 [n] in 0..`steps`; larger is better."""
    steps: int
    tolerance: float
    """Points that it may drop."""


def level(alpha: float) -> float:
    """The level of the test on all images."""
    return alpha * (1 - FOR_FAILING)


class Stopping:
    """Follows the rows of one protocol, and says when all images would give the same decision."""

    def __init__(self, rows: list[Row], alpha: float, family: int) -> None:
        """Prepare.

        Args:
            rows: those that are tested.
            alpha: of the check.
            family: number of tested rows under all protocols.
        """
        self.rows, self.alpha, self.family = rows, alpha, max(family, 1)

    def failing(self, seen: list[np.ndarray]) -> list[bool]:
        """Which rows fail on all images, with the probability of any error that is kept for it.

        Args:
            seen: for each row, the values of the first images under the new model, int64 [m].
        """
        delta = FOR_FAILING * self.alpha / self.family
        return [self._state(row, new).fails(delta) for row, new in zip(self.rows, seen, strict=True)]

    def passing(self, seen: list[np.ndarray]) -> bool:
        """Whether no row fails on all images.

        Holm's first step rejects at level / family. Later ones reject at a higher level, and only after a row
        that was rejected within its tolerance. A row that fails, and in the second case also the first one,
        would have to be outside its confidence sequence; so each gets half of the probability.
        """
        states = [self._state(row, new) for row, new in zip(self.rows, seen, strict=True)]
        delta = FOR_PASSING * self.alpha / 2
        if any(state.can_fail(delta, self.family) for state in states):
            return False
        alone = self.family == len(self.rows)
        if alone and not any(state.can_be_small(delta) for state in states):
            return True
        return not any(state.can_fail(delta, 1) for state in states)

    def _state(self, row: Row, new: np.ndarray) -> _State:
        return _State.of(row, new, level(self.alpha), self.family)


@dataclass(frozen=True)
class _State:
    """One row after m images: what is possible for all n."""

    n: int
    down: int
    up: int
    same: int
    net: int
    """Steps lost so far, less those gained."""
    most_down: np.ndarray
    """int64 [k + 1]: the most steps that so many of the other images can lose."""
    most_up: np.ndarray
    """The same for gains."""
    allowed: float
    """Steps that all images together may lose."""
    level: float
    family: int

    @classmethod
    def of(cls, row: Row, new: np.ndarray, level: float, family: int) -> _State:
        n, m = len(row.values), len(new)
        change = new - row.values[:m]
        rest = row.values[m:]
        return cls(
            n,
            int((change < 0).sum()),
            int((change > 0).sum()),
            int((change == 0).sum()),
            -int(change.sum()),
            _largest_sums(rest),
            _largest_sums(row.steps - rest),
            (row.tolerance + 1e-9) / 100 * n * row.steps,
            level,
            family,
        )

    @property
    def downs(self) -> np.ndarray:
        """Every number of images that may go down."""
        return self.down + np.arange(len(self.most_down))

    def can_fail(self, delta: float, family: int) -> bool:
        """Whether all images may show a drop beyond the tolerance at the level of a family."""
        beyond = np.ceil(self.net + self.most_down + self.up - self.allowed).astype(np.int64) - 1
        most = np.minimum(self._rejected(family), beyond)
        return self._possible(np.zeros_like(most), most, delta)

    def can_be_small(self, delta: float) -> bool:
        """Whether all images may show a drop within the tolerance that is not chance."""
        return self._possible(self._enough_up(), self._rejected(self.family), delta)

    def fails(self, delta: float) -> bool:
        """Whether nothing but a failure is possible."""
        passes = np.minimum(self._rejected(self.family) + 1, self._enough_up())
        return not self._possible(passes, np.full_like(passes, self.n), delta)

    def _rejected(self, family: int) -> np.ndarray:
        """The most images that may go up if the test is to reject, for every number that goes down."""
        return _most_up(self.n, self.level / family)[self.downs]

    def _enough_up(self) -> np.ndarray:
        """The fewest images that must go up to keep the drop within the tolerance."""
        missing = self.net + self.downs - self.down - self.allowed
        return self.up + np.searchsorted(self.most_up, missing)

    def _possible(self, least: np.ndarray, most: np.ndarray, delta: float) -> bool:
        """Whether the confidence sequence holds a pair with U in least..most (for every D)."""
        n, m, rest = self.n, self.down + self.up + self.same, len(self.most_up) - 1
        downs = self.downs
        least = np.maximum(least, self.up)
        most = np.minimum(most, np.minimum(self.up + rest, n - downs - self.same))
        some = least <= most
        if not some.any():
            return False
        downs, least, most = downs[some], least[some], most[some]
        likeliest = (n - downs + 1) * self.up // max(m - self.down, 1)
        ups = np.clip(likeliest, least, most)
        table = _log_factorials(n)

        def choose(of: np.ndarray | int, k: np.ndarray) -> np.ndarray:
            return table[of] - table[k] - table[of - k]

        chance = (
            choose(n - m, downs - self.down)
            - choose(n, downs)
            + choose(n - m - (downs - self.down), ups - self.up)
            - choose(n - downs, ups)
        )
        return bool(chance.max() > self._predicted + math.log(delta))

    @property
    def _predicted(self) -> float:
        """Logarithm of Q: the rate of change is learned first, then its direction."""
        changed = self.down + self.up
        rate = _log_beta(0.5 + changed, SAME + self.same) - _log_beta(0.5, SAME)
        return rate + _log_beta(0.5 + self.down, 0.5 + self.up) - _log_beta(0.5, 0.5)


def _largest_sums(values: np.ndarray) -> np.ndarray:
    """int64 [k + 1]: the largest sum of 0, 1, … k of the values above zero."""
    some = np.sort(values[values > 0])[::-1]
    return np.concatenate([[0], np.cumsum(some)]).astype(np.int64)


@lru_cache(maxsize=64)
def _most_up(n: int, level: float) -> np.ndarray:
    """int64 [n + 1]: the most images up with which the sign test rejects, by those down; -1: never."""
    found = np.full(n + 1, -1)
    least, tail = 1, 0.0  # the fewest of `total` that must be down, and the probability of as many or more
    for total in range(n + 1):
        if total:
            tail += _half(total - 1, least - 1) / 2
        while tail > level:
            tail -= _half(total, least)
            least += 1
        if least <= n:
            found[least] = max(found[least], total - least)
    return np.maximum.accumulate(found)


def _half(total: int, k: int) -> float:
    """Probability of k heads in so many tosses."""
    if not 0 <= k <= total:
        return 0.0
    log = math.lgamma(total + 1) - math.lgamma(k + 1) - math.lgamma(total - k + 1)
    return math.exp(log - total * math.log(2))


@lru_cache(maxsize=8)
def _log_factorials(n: int) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
