"""Test images for a figure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...errors import VivavoceError
from ...images import Fit, match, open_images
from ...images.imageset import to_float
from ...train.run import read_config
from ...train.texts import is_text
from ..records import Record
from ..work import test_images


@dataclass(frozen=True)
class Sample:
    """Images of the test part, the same for all cells of a data set."""

    images: Tensor
    """float32 [N, C, H, W] in 0..1."""
    labels: np.ndarray
    """int64 [N], indices into `classes`."""
    classes: tuple[str, ...]


def sample(record: Record, limit: int, most: int) -> Sample:
    """A seeded, stratified sample of the test images that a cell is judged on.

    Args:
        record: a trained cell.
        limit: how many images at most.
        most: of how many classes at most; the first.

    Raises:
        VivavoceError: the data are texts, or are not to be had.
    """
    if is_text(record.cell.dataset):
        raise VivavoceError(f"{record.cell.dataset} holds texts; this figure is drawn of images")
    config = read_config(record.folder)
    test, _ = match(open_images(test_images(record.cell.dataset)), config.classes, known=True)
    here = np.flatnonzero(test.labels < most)
    chosen = here if len(here) <= limit else _spread(test.labels, here, limit)
    pixels = test.pixels(chosen, Fit(*config.size))
    return Sample(torch.from_numpy(to_float(pixels)), test.labels[chosen], config.classes[:most])


def _spread(labels: np.ndarray, here: np.ndarray, limit: int) -> np.ndarray:
    """At most `limit` of the images at `here`: round after round one of each class."""
    order = np.random.default_rng(0).permutation(here)
    place = np.empty(len(order), int)
    for k in np.unique(labels[order]):
        own = labels[order] == k
        place[own] = np.arange(own.sum())
    return order[np.lexsort((labels[order], place))[:limit]]
