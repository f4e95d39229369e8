"""What to compare attacks with: random noise, and the smallest perturbation."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import numpy as np

from .attacks.base import Ball, Goal
from .attacks.fab import FAB
from .attacks.noise import Noise
from .attacks.streams import Streams
from .diagnosis.probes import Probes
from .judge import judge
from .statistics import wilson


class Reference(msgspec.Struct, frozen=True):
    """One figure to compare with, on the images of the diagnosis."""

    name: str
    accuracy: float | None
    """Share of the images, all decided correctly when clean, that are still decided correctly."""
    interval: tuple[float, float] | None
    n: int
    median_size: float | None = None
    """Smallest perturbation: its median size in the protocol's norm, units of 0..1."""


def references(probes: Probes, progress: Callable[[str], None] = lambda name: None) -> Iterator[Reference]:
    """Random noise in the ball, and the minimum-norm attack."""
    n = len(probes.labels)
    if not n:
        return
    progress("noise")
    yield _counted("random noise in the ball", ~probes.broken_by(Noise()))
    progress("minimum norm")
    if probes.target.gradient_missing is None:
        yield _minimum_norm(probes)


def _counted(name: str, right: np.ndarray) -> Reference:
    return Reference(name, float(right.mean()), wilson(int(right.sum()), len(right)), len(right))


def _minimum_norm(probes: Probes) -> Reference:
    """Median size of the smallest change that FAB finds in the whole range of pixels.

    An image that it does not break counts as infinitely far.
    """
    reach = 1.0 if probes.ball.norm == "linf" else probes.clean[0].size ** 0.5
    whole = Ball(probes.ball.norm, np.full((1, 1, 1), reach, np.float32))
    streams = Streams.of(probes.seed, "minimum norm", probes.indices)
    (result,) = FAB(minimum=True).results(
        probes.target, probes.clean, Goal(probes.labels, None), [whole], streams
    )
    result = whole.settle(result, probes.clean, probes.target.grid)
    broken = judge(probes.target, result, probes.labels).decisions != probes.labels
    sizes = np.where(broken, whole.size(result, probes.clean), np.inf)
    median = float(np.median(sizes))
    return Reference(
        "smallest perturbation (FAB)", None, None, len(sizes), median if np.isfinite(median) else None
    )
