"""How different the labels of a bank are: Table 2 of Chen et al. 2021, and measures that compare kinds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ...artifacts.bank import LabelBank
from ...artifacts.decoding import THRESHOLD
from ...artifacts.encoder_bank import own_metric
from ...artifacts.metrics import METRICS, nearness
from ...artifacts.preprocessing import MetricName

ROWS = 256
"""Labels that are compared with all others at a time."""

BINS = 256
"""Of the histogram from which `consistent` takes its entropy."""


@dataclass(frozen=True)
class Spread:
    """A mean and a population standard deviation."""

    mean: float
    deviation: float

    def __str__(self) -> str:
        return f"{self.mean:.2f}±{self.deviation:.2f}"


@dataclass(frozen=True)
class Statistics:
    """Entropy of the labels, and two distances between the labels of two classes."""

    entropy: Spread
    """Bits, over the classes."""
    l1: Spread
    l2: Spread
    """Over the unordered pairs of classes."""


@dataclass(frozen=True)
class Pair:
    """Two classes and the distance between their labels: mean smooth L1, or the loss of a metric."""

    first: str
    second: str
    loss: float


def _each_by_its_own(labels: np.ndarray) -> np.ndarray:
    flat = labels.reshape(len(labels), -1)
    least, most = flat.min(1), flat.max(1)
    span = np.where(most > least, most - least, 1)
    return ((flat - least[:, None]) / span[:, None]).reshape(labels.shape)


def _all_together(labels: np.ndarray) -> np.ndarray:
    return (labels - labels.min()) / max(labels.max() - labels.min(), 1e-12)


def _column_sum(difference: np.ndarray) -> np.ndarray:
    """Induced matrix 1-norm: the largest absolute column sum."""
    return np.abs(difference).sum(1).max(1)


def _sum(difference: np.ndarray) -> np.ndarray:
    return np.abs(difference).reshape(len(difference), -1).sum(1)


def _frobenius(difference: np.ndarray) -> np.ndarray:
    return np.sqrt((difference**2).reshape(len(difference), -1).sum(1))


def _spectral(difference: np.ndarray) -> np.ndarray:
    return np.linalg.norm(difference, 2, axis=(1, 2))


Scaling = Callable[[np.ndarray], np.ndarray]
Norm = Callable[[np.ndarray], np.ndarray]

PAPER: dict[str, tuple[Scaling, Norm, Norm]] = {
    "category": (_all_together, _sum, _frobenius),
    "constant": (_all_together, _column_sum, _frobenius),
    "speech": (_each_by_its_own, _column_sum, _frobenius),
    "shuffled-speech": (_each_by_its_own, _column_sum, _frobenius),
    "gaussian-composition": (_each_by_its_own, _column_sum, _frobenius),
    "uniform-random": (_all_together, _column_sum, _frobenius),
    "low-dim": (_all_together, _sum, _frobenius),
    "bert": (_all_together, _column_sum, _spectral),
    "glove": (_all_together, _sum, _frobenius),
}
"""How the paper's Table 2 scales each kind to 0..1 and measures it; found by recomputing its cells.

The rows cannot be compared with each other: their L1 is a column sum or a full sum, their L2 a Frobenius or a
spectral norm, and some labels are scaled one by one. `uniform-random` and `low-dim` are not in the table.
"""


def paper(kind: str, labels: np.ndarray) -> Statistics:
    """A row of Table 2 of Chen et al. 2021 by that row's own recipe.

    Args:
        kind: the label representation; one that the paper has no row for is measured as `speech` is, and
            vectors as `low-dim`.
        labels: [K, *label shape].
    """
    scaling, l1, l2 = PAPER.get(kind, PAPER["speech" if labels.ndim > 2 else "low-dim"])
    scaled = scaling(labels.astype(np.float64))
    differences = list(_differences(scaled))
    return Statistics(
        _spread([_distinct_value_entropy(label) for label in labels]),
        _spread(np.concatenate([l1(d) for d in differences])),
        _spread(np.concatenate([l2(d) for d in differences])),
    )


def consistent(labels: np.ndarray) -> Statistics:
    """The same measures for every kind, free of a label's size.

    All labels are scaled to 0..1 together. L1 is the mean absolute difference per entry, L2 the root of
    the mean square difference; entropy is of a histogram with 256 bins over 0..1, at most 8 bits. (The paper
    counts distinct values, which gives about log2 of the label's size for any label of real numbers.)
    """
    scaled = _all_together(labels.astype(np.float64))
    size = scaled[0].size
    differences = list(_differences(scaled))
    return Statistics(
        _spread([_binned_entropy(label) for label in scaled]),
        _spread(np.concatenate([_sum(d) / size for d in differences])),
        _spread(np.concatenate([_frobenius(d) / np.sqrt(size) for d in differences])),
    )


def closest_pair(bank: LabelBank) -> Pair:
    """The two classes whose labels are nearest by mean smooth L1."""
    return min(_pairs(bank), key=lambda pair: pair.loss)


def nearest_by(metric: MetricName, bank: LabelBank) -> Pair:
    """The two classes whose labels are nearest by a metric; its loss is smaller for what is nearer."""
    rows, best = bank.rows[:, 0], (np.inf, 0, 1)
    for start in range(0, len(rows), ROWS):
        loss = METRICS[metric].offset - nearness(metric, rows[start : start + ROWS], rows[:, None])
        loss[np.arange(len(loss)), np.arange(start, start + len(loss))] = np.inf
        i, j = np.unravel_index(loss.argmin(), loss.shape)
        best = min(best, (float(loss[i, j]), start + int(i), int(j)))
    return Pair(bank.classes[best[1]], bank.classes[best[2]], best[0])


def indistinct_pairs(bank: LabelBank, threshold: float = THRESHOLD) -> list[Pair]:
    """Pairs of classes that threshold decoding cannot tell apart, nearest first.

    None of a bank that a metric of its own compares: the threshold is for labels in decibels.
    """
    if own_metric(bank):
        return []
    return sorted((pair for pair in _pairs(bank) if pair.loss < threshold), key=lambda pair: pair.loss)


def describe_indistinct(bank: LabelBank, threshold: float = THRESHOLD) -> str | None:
    """One line about the classes that threshold decoding cannot tell apart, or None if it can."""
    pairs = indistinct_pairs(bank, threshold)
    if not pairs:
        return None
    every = len(bank.classes) * (len(bank.classes) - 1) // 2
    if len(pairs) == every:
        return (
            f"all {every} pairs of labels are closer than the threshold of {threshold:g}: "
            "it means nothing for these labels"
        )
    listed = ", ".join(f"{pair.first} and {pair.second} ({pair.loss:.2f})" for pair in pairs[:5])
    more = f", … ({len(pairs)} pairs)" if len(pairs) > 5 else ""
    return f"closer than the threshold of {threshold:g}, which cannot tell them apart: {listed}{more}"


def _pairs(bank: LabelBank) -> Iterator[Pair]:
    loss = bank.smooth_l1(bank.labels)
    for i, j in zip(*np.triu_indices(len(loss), 1), strict=True):
        yield Pair(bank.classes[i], bank.classes[j], float(loss[i, j]))


def _differences(labels: np.ndarray) -> Iterator[np.ndarray]:
    """Each label against all after it: [K - 1 - k, *label shape]."""
    for k in range(len(labels) - 1):
        yield labels[k + 1 :] - labels[k]


def _spread(values: np.ndarray | list[float]) -> Spread:
    return Spread(float(np.mean(values)), float(np.std(values)))


def _distinct_value_entropy(label: np.ndarray) -> float:
    return _entropy(np.unique(label, return_counts=True)[1])


def _binned_entropy(label: np.ndarray) -> float:
    return _entropy(np.histogram(label, BINS, (0, 1))[0])


def _entropy(counts: np.ndarray) -> float:
    """Shannon entropy of a histogram, bits."""
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log2(share)).sum()) + 0.0  # not -0.0
