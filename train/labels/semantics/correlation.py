"""Kendall's tau-b between distances of labels and distances of meanings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DRAWS = 150


@dataclass(frozen=True)
class Semantics:
    """How far the labels' distances go with WordNet's."""

    tau: float
    """Kendall's tau-b, the mean over the classes of each one's distances to all others."""
    chance: float
    """Standard deviation of tau for random Gaussian labels of as many classes; their mean is 0."""
    classes: tuple[str, ...]
    """Those that WordNet has."""
    missing: tuple[str, ...]

    @property
    def above_chance(self) -> float:
        """How many of chance's standard deviations tau is above 0."""
        return self.tau / self.chance


def label_distances(labels: np.ndarray) -> np.ndarray:
    """Euclidean distances of labels [N, ...]: float64 [N, N], symmetric with zeros on the diagonal."""
    from scipy.spatial.distance import pdist, squareform

    return squareform(pdist(labels.reshape(len(labels), -1).astype(np.float64)))


def mean_tau(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Mean over the rows of two distance matrices [N, N] of Kendall's tau-b, the diagonal left out.

    A row without order, whose distances are all the same, counts as 0.
    """
    from scipy.stats import kendalltau

    off = ~np.eye(len(ours), dtype=bool)
    rows = [kendalltau(a[keep], b[keep])[0] for a, b, keep in zip(ours, theirs, off, strict=True)]
    return float(np.nan_to_num(np.array(rows, float)).mean())


def chance_level(theirs: np.ndarray, draws: int = DRAWS, seed: int = 0) -> np.ndarray:
    """Tau of random labels, N Gaussian vectors with N entries each: float64 [draws]."""
    generator, n = np.random.default_rng(seed), len(theirs)
    return np.array([mean_tau(label_distances(generator.normal(size=(n, n))), theirs) for _ in range(draws)])
