"""How predictions are compared with the rows of a label bank, in numpy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import VivavoceError
from .preprocessing import MetricName, Pool

TINY_SQUARE = 1e-24
"""Added to a squared length, so that a prediction of zeros has a direction: none."""
TINY_DISTANCE = 1e-12
"""Added to a squared distance, so that its root has a gradient at zero."""


@dataclass(frozen=True)
class Metric:
    """One way to compare predictions [N, D] with rows [R, D]."""

    word: str
    """What people call its values."""
    nearness: Callable[[np.ndarray, np.ndarray], np.ndarray]
    """float64 [N, R], larger is nearer: a similarity, or minus a distance."""
    similarity: bool = False
    """Whether larger values are nearer."""
    offset: float = 0.0
    """Loss (smaller is nearer) and nearness sum up to this."""
    decimals: int = 2
    """Digits after the point that tell values apart."""

    def shown(self, loss: float) -> float:
        """A loss, or a threshold for it, in the metric's own units; and back again."""
        return self.offset - loss if self.similarity else loss

    def compared(self, loss: float, threshold: float) -> str:
        """A loss against a threshold in words, such as `cosine 0.41 > 0.35: sure`."""
        sure = loss < threshold
        signs = (">", "<=") if self.similarity else ("<", ">=")
        limit = self.shown(threshold)
        return f"{self.text(loss)} {signs[not sure]} {limit:g}: {'sure' if sure else 'not sure'}"

    def text(self, loss: float) -> str:
        """A loss in words."""
        return f"{self.word} {self.shown(loss):.{self.decimals}f}"


def _cosine(points: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return _directions(points) @ _directions(rows).T


def _directions(rows: np.ndarray) -> np.ndarray:
    return rows / np.sqrt((rows * rows).sum(1, keepdims=True) + TINY_SQUARE)


def _squared_l2(points: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return -np.stack([((points - row) ** 2).sum(1) for row in rows], axis=1)


def _l2(points: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return -np.sqrt(-_squared_l2(points, rows) + TINY_DISTANCE)


def _hamming(points: np.ndarray, rows: np.ndarray) -> np.ndarray:
    if rows.min() >= 0:
        points, rows = 2 * points - 1, 2 * rows - 1
    return points @ rows.T / (2 * rows.shape[1]) - 0.5


def _smooth_l1(points: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return -np.stack([smooth_l1(points - row).mean(1) for row in rows], axis=1)


def smooth_l1(difference: np.ndarray) -> np.ndarray:
    """Smooth L1 with beta 1, entry by entry."""
    size = np.abs(difference)
    return np.where(size < 1, 0.5 * size * size, size - 0.5)


METRICS: dict[MetricName, Metric] = {
    "cosine": Metric("cosine", _cosine, similarity=True, offset=1.0, decimals=3),
    "dot": Metric("dot product", lambda points, rows: points @ rows.T, similarity=True),
    "l2": Metric("L2 distance", _l2),
    "squared-l2": Metric("squared L2 distance", _squared_l2),
    "hamming": Metric("Hamming distance", _hamming, decimals=3),
    "smooth-l1": Metric("smooth L1", _smooth_l1),
}
"""The Hamming distance is the share of bits that differ. Between the bits it is linear: the share that is
expected if outputs are probabilities of bits, which decodes by correlation."""


def nearness(
    metric: MetricName,
    points: np.ndarray,
    rows: np.ndarray,
    pool: Pool = "max",
    members: np.ndarray | None = None,
) -> np.ndarray:
    """How near predictions are to classes: float64 [N, K], larger is nearer.

    Args:
        metric: how to compare.
        points: predictions [N, D].
        rows: [K, M, D], M rows of each class.
        pool: which of a class's rows counts.
        members: int [K], how many of a class's rows count in the mean; None: all.
    """
    classes, several, width = rows.shape
    flat = rows.reshape(-1, width).astype(np.float64)
    found = METRICS[metric].nearness(points.astype(np.float64), flat).reshape(-1, classes, several)
    return found.max(2) if pool == "max" else (found * weights(classes, several, members)).sum(2)


def weights(classes: int, several: int, members: np.ndarray | None) -> np.ndarray:
    """What each row of each class counts in the mean: float32 [K, M]."""
    counts = np.full(classes, several) if members is None else np.asarray(members)
    return ((np.arange(several) < counts[:, None]) / counts[:, None]).astype(np.float32)


def check_rows(metric: MetricName, rows: np.ndarray, classes: tuple[str, ...]) -> None:
    """Refuse rows that a metric cannot be used with.

    Args:
        metric: how they are compared.
        rows: [K, M, D].
        classes: their names.

    Raises:
        VivavoceError: for `hamming` they are not bits, or for `cosine` a row has no direction.
    """
    if metric == "hamming":
        values = np.unique(rows)
        strange = values[~np.isin(values, (-1, 0, 1))]
        if not (np.isin(values, (0, 1)).all() or np.isin(values, (-1, 1)).all()):
            raise VivavoceError(
                "the metric hamming needs a bank of bits, 0 and 1 or -1 and 1, and this one has values such "
                f"as {float(strange[0] if len(strange) else values[1]):g}; give a different --metric"
            )
    if metric == "cosine":
        empty = ~rows.any(2)
        if empty.any():
            name = classes[int(np.argwhere(empty)[0][0])]
            raise VivavoceError(f"a label of {name!r} is all zeros and has no direction, which cosine needs")
