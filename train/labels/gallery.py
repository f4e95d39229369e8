"""`gallery`: the embeddings that an encoder gives for labelled images, as faces and products are enrolled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np

from ...artifacts.bank import LabelBank
from ...artifacts.embedder import Embedder
from ...artifacts.metrics import nearness
from ...artifacts.preprocessing import MetricName, Preprocessing
from ...errors import VivavoceError
from ...images import Fit, ImageSet, open_images
from ...images.imageset import to_float

Keep = Literal["mean", "all"]
GalleryMetric = Literal["cosine", "l2", "squared-l2", "dot"]
METRICS: tuple[GalleryMetric, ...] = ("cosine", "l2", "squared-l2", "dot")
"""Metrics that compare embeddings."""
AT_ONCE = 32


def enrol(
    encoder: Path,
    data: str,
    keep: Keep = "mean",
    metric: GalleryMetric = "cosine",
    preprocessing: Preprocessing | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> LabelBank:
    """Embed labelled images, and keep the embeddings of each class as its labels.

    Args:
        encoder: an .onnx file.
        data: as `open_images` takes it.
        keep: the mean of each class's embeddings (for `cosine` of their directions), or all of them.
        metric: how predictions will be compared with them.
        preprocessing: how images are fed.
        progress: called with how many images of how many are embedded.

    Returns:
        The bank; its recipe holds the accuracy `leave one out`: each image compared with the bank without it,
        of classes with two images or more.

    Raises:
        VivavoceError: the encoder or the data cannot be used.
    """
    if metric not in METRICS:
        raise VivavoceError(f"a gallery is compared by {', '.join(METRICS)}, not by {metric}")
    embed, images = Embedder(encoder, preprocessing), open_images(data)
    counts = np.bincount(images.labels, minlength=len(images.classes))
    if len(images.classes) < 2 or not counts.all():
        empty = images.classes[int(counts.argmin())]
        raise VivavoceError(
            f"{images.name}: a gallery needs two classes or more, with images of each; {empty!r} has "
            f"{counts.min()}"
        )
    rows = _embedded(embed, images, progress)
    if metric == "cosine":
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        if not lengths.all():
            raise VivavoceError(f"{encoder}: the embedding of an image is zero and has no direction")
        rows = rows / lengths
    accuracy = leave_one_out(rows, images.labels, keep, metric)
    labels, members = _kept(rows, images.labels, counts, keep)
    recipe: dict[str, str | int | float] = {
        "encoder": encoder.name, "data": images.name, "images": len(images), "keep": keep, "metric": metric,
        "leave one out": round(accuracy, 4),
    }  # fmt: skip
    return LabelBank("gallery", labels, tuple(images.classes), recipe=recipe, members=members)


def _embedded(embed: Embedder, images: ImageSet, progress: Callable[[int, int], None]) -> np.ndarray:
    """The embeddings of all images: float64 [N, D]."""
    parts = []
    for start in range(0, len(images), AT_ONCE):
        chosen = np.arange(start, min(start + AT_ONCE, len(images)))
        parts.append(embed(to_float(images.pixels(chosen, Fit.of(embed.input)))))
        progress(int(chosen[-1]) + 1, len(images))
    rows = np.concatenate(parts).astype(np.float64)
    if not np.isfinite(rows).all():
        raise VivavoceError(
            f"{embed.path}: the embedding of an image holds a value that is not a finite number"
        )
    return rows


def _kept(
    rows: np.ndarray, labels: np.ndarray, counts: np.ndarray, keep: Keep
) -> tuple[np.ndarray, tuple[int, ...] | None]:
    """The bank's labels and, of all embeddings, how many each class has; the rest of a class's repeat."""
    groups = [rows[labels == k] for k in range(len(counts))]
    if keep == "mean":
        return np.stack([group.mean(0) for group in groups]).astype(np.float32), None
    places = np.arange(counts.max())
    filled = np.stack([group[places % len(group)] for group in groups])
    return filled.astype(np.float32), tuple(map(int, counts))


def leave_one_out(rows: np.ndarray, labels: np.ndarray, keep: Keep, metric: MetricName) -> float:
    """The share of embeddings [N, D] that the labels of the others decide rightly.

    Args:
        rows: of length 1 for `cosine`.
        labels: int64 [N].
        keep: as for `enrol`; of all embeddings the nearest decides.
        metric: how they are compared.
    """
    counts = np.bincount(labels)
    sums = np.stack([rows[labels == k].sum(0) for k in range(len(counts))])
    right = []
    for i in np.flatnonzero(counts[labels] > 1):
        if keep == "all":
            near = nearness(metric, rows[i : i + 1], rows[:, None])[0]
            near[i] = -np.inf
            right.append(labels[near.argmax()] == labels[i])
            continue
        own = labels[i]
        means = sums / counts[:, None]
        means[own] = (sums[own] - rows[i]) / (counts[own] - 1)
        right.append(nearness(metric, rows[i : i + 1], means[:, None])[0].argmax() == own)
    return float(np.mean(right)) if right else float("nan")
