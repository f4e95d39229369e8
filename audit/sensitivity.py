"""How far an audit can see a model change: the smallest epsilon that breaks each image."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .attacks.catalogue import ATTACKS
from .natural.heat import shift_lists
from .protocol import Protocol, counts
from .report import Report, unpack_bits
from .statistics import Z95, wilson

SOME = 10
"""Images of a shift that are named."""


def steps_survived(report: Report) -> np.ndarray:
    """How many epsilons of the protocol each image survives, the smallest first: int64 [n].

    -1 where the clean image is wrong. The epsilon after the last that it survives breaks it.
    """
    n = report.data.n
    standing = np.array([image.clean == image.label for image in report.images], bool)
    steps = np.where(standing, 0, -1)
    for epsilon in (epsilon for epsilon in report.protocol.epsilons if epsilon > 0):
        for row in report.rows:
            if row.epsilon == epsilon and counts(row.attack):
                standing &= unpack_bits(row.survivors, n)
        steps += standing
    return steps


@dataclass(frozen=True)
class Median:
    """The median over all images of the smallest epsilon of the protocol that breaks an image."""

    middle: str
    low: str
    high: str
    """Ends of the 95 % interval, from the ranks of a binomial (Conover 1999, section 3.2)."""
    what: str = "epsilon"

    @property
    def line(self) -> str:
        """In words."""
        ends = f"interval {self.low} to {self.high}" if self.low != self.high else "confidence"
        return f"median smallest {self.what} that breaks an image: {self.middle} (95 % {ends})"


def smallest_sizes(report: Report) -> np.ndarray | None:
    """Size of the smallest change that breaks each image: float64 [n]; infinite where none was found.

    None if no attack looked for it.
    """
    if not any(name in ATTACKS and ATTACKS[name].minimal for name in report.protocol.attacks):
        return None
    return np.array([np.inf if image.smallest is None else image.smallest for image in report.images])


@dataclass(frozen=True)
class Curve:
    """Accuracy against epsilon up to the protocol's largest, in 0..1."""

    epsilons: list[float]
    accuracy: list[float]
    low: list[float]
    high: list[float]
    """Ends of the 95 % Wilson intervals."""


def curve(report: Report, points: int = 200) -> Curve | None:
    """Accuracy at so many epsilons, from the smallest change of each image; None without those."""
    sizes = smallest_sizes(report)
    if sizes is None:
        return None
    grid = np.linspace(0, report.protocol.epsilons[-1], points + 1)
    standing = (sizes[:, None] > grid).sum(0)
    low, high = zip(*(wilson(int(count), len(sizes)) for count in standing), strict=True)
    return Curve(grid.tolist(), (standing / len(sizes)).tolist(), list(low), list(high))


def median_smallest(report: Report) -> Median | None:
    """The median smallest epsilon; None with fewer than two epsilons, which say no more than a row does.

    Where an attack looked for the smallest change of each image, it is the median of their sizes.
    """
    protocol = report.protocol
    sizes = smallest_sizes(report)
    if sizes is not None:
        found = np.sort(sizes)
        middle, low, high = (protocol.measured(float(found[rank])) for rank in _ranks(len(found)))
        return Median(middle, low, high, "change")
    if protocol.natural or sum(epsilon > 0 for epsilon in protocol.epsilons) < 2:
        return None
    steps, n = np.sort(steps_survived(report)), report.data.n
    middle, low, high = (_breaking(protocol, int(steps[rank])) for rank in _ranks(n))
    return Median(middle, low, high, "patch" if protocol.norm == "patch" else "epsilon")


def _ranks(n: int) -> list[int]:
    """Places of the median and of the ends of its interval among n sorted values."""
    half = Z95 * math.sqrt(n) / 2
    ranks = (n // 2, math.floor(n / 2 - half), math.ceil(n / 2 + half))
    return [min(max(rank, 0), n - 1) for rank in ranks]


def _breaking(protocol: Protocol, step: int) -> str:
    """The epsilon that breaks an image which survives so many."""
    epsilons = [epsilon for epsilon in protocol.epsilons if epsilon > 0]
    if step < 0:
        return "0"
    return (
        protocol.written(epsilons[step]) if step < len(epsilons) else f"over {protocol.written(epsilons[-1])}"
    )


def blind(report: Report) -> str | None:
    """Why a check against this report would see no change of robustness, and what to do; None if it would."""
    protocol = report.protocol
    attacked = [row for row in report.rows if row.epsilon > 0 and counts(row.attack)]
    if protocol.natural or not attacked or report.clean.accuracy == 0:
        return None
    shares = [row.accuracy for row in attacked]
    size = "patch" if protocol.norm == "patch" else "epsilon"
    if max(shares) == 0:
        smaller = protocol.written(protocol.scaled(attacked[0].epsilon, 1 / 4))
        return f"every row is at 0.0 %, so none can drop; a smaller {size}, such as {smaller}, shows changes"
    if min(shares) == report.clean.accuracy:
        larger = protocol.written(protocol.scaled(attacked[-1].epsilon, 4))
        return f"the attacks break no image; a larger {size}, such as {larger}, shows changes"
    return None


def remarks(report: Report) -> list[str]:
    """Both in words, as far as there is something to say; of a shift, some of the images lost and gained."""
    median, warning = median_smallest(report), blind(report)
    shifts = [_some(*found) for found in shift_lists(report)]
    return [*([median.line] if median else []), *([warning] if warning else []), *shifts]


def _some(title: str, names: list[str]) -> str:
    more = f", … ({len(names)} in all)" if len(names) > SOME else ""
    return f"{title}: {', '.join(names[:SOME])}{more}"
