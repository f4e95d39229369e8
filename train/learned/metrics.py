"""How good and how fast: the figures of Yu & Verma's tables, from test accuracies epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import VivavoceError


def best(curve: Sequence[float]) -> float:
    """Best test accuracy: the maximum over the epochs, which peeks at the test part."""
    return float(np.max(curve))


def auac(curve: Sequence[float]) -> float:
    """Area under the accuracy curve, 0..100: the mean over the epochs, times 100."""
    return 100 * float(np.mean(curve))


def first_reaching(curve: Sequence[float] | np.ndarray, target: float) -> int | None:
    """The first epoch, counted from 1, whose accuracy is at least `target`; None: it never is."""
    reached = np.flatnonzero(np.asarray(curve) >= target - 1e-12)
    return int(reached[0]) + 1 if len(reached) else None


@dataclass(frozen=True)
class Saved:
    """What a method saves on the way to a target accuracy."""

    epoch: int
    """The first that reaches it, counted from 1."""
    epochs: float
    """(E - epoch) / E, the share of the run's E epochs that is not needed: "percent time reduced"."""
    seconds: float | None
    """The same in seconds, against those that the baseline takes for its whole run; below 0 if slower."""


def saved(
    curve: Sequence[float] | np.ndarray,
    target: float,
    seconds: Sequence[float] = (),
    baseline: Sequence[float] = (),
) -> Saved | None:
    """How much of the run is saved on the way to the one-hot baseline's best accuracy.

    The paper counts epochs and gives no code. A tie with the target counts as reaching it.

    Args:
        curve: test accuracy after each epoch.
        target: the baseline's best accuracy.
        seconds: that each epoch takes.
        baseline: seconds that each of the baseline's epochs takes.

    Returns:
        None if the target is never reached.
    """
    epoch = first_reaching(curve, target)
    if epoch is None:
        return None
    share = (len(curve) - epoch) / len(curve)
    if not len(seconds) or not len(baseline):
        return Saved(epoch, share, None)
    return Saved(epoch, share, 1 - float(np.sum(seconds[:epoch])) / float(np.sum(baseline)))


def mean_curve(curves: Sequence[Sequence[float]]) -> np.ndarray:
    """The mean over seeds, epoch by epoch [E].

    Raises:
        VivavoceError: the runs differ in length.
    """
    if len({len(curve) for curve in curves}) != 1:
        raise VivavoceError("the runs have different numbers of epochs; compare runs of one length")
    return np.mean(np.asarray(curves, float), axis=0)
