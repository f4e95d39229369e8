"""How good an explanation is: deletion and insertion (Petsiuk et al. 2018).

Pixels change in the order of the heatmap, hottest first. A good explanation makes the probability of the
class fall fast when pixels turn black (a small area under the deletion curve) and rise fast when they appear
in a blurred image (a large area under the insertion curve).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from ...artifacts import ExportedModel
from .subject import Subject

POINTS = 21
"""Shares of the pixels at which the curves are measured, both ends included."""
BLUR = 0.1
"""Standard deviation of the blur, over the image's shorter side."""


class Curves(NamedTuple):
    """Probability of the class, by the share of pixels that changed: float64 [N, POINTS] each."""

    deletion: np.ndarray
    insertion: np.ndarray


def curves(model: ExportedModel, images: np.ndarray, heat: np.ndarray, classes: np.ndarray) -> Curves:
    """Measure both curves.

    Args:
        model: the file.
        images: float32 [N, C, H, W] in 0..1.
        heat: float32 [N, H, W]; pixels of equal heat change in the order of rows.
        classes: int64 [N].
    """
    subject = Subject(model, "probability")
    result = []
    for image, map_, goal in zip(images, heat, classes, strict=True):
        changed = _changed_first(map_)
        both = (np.zeros_like(image), image), (image, blurred(image))
        result.append(
            [subject.values(np.where(changed[:, None], new, old), np.full(POINTS, goal)) for new, old in both]
        )
    deletion, insertion = np.stack(result, axis=1)
    return Curves(deletion, insertion)


def _changed_first(heat: np.ndarray) -> np.ndarray:
    """Which pixels have changed at each point of a curve: bool [POINTS, H, W]."""
    order = np.argsort(-heat.ravel(), kind="stable")
    place = np.empty(heat.size, np.int64)
    place[order] = np.arange(heat.size)
    counts = np.rint(np.linspace(0, heat.size, POINTS))
    return (place < counts[:, None]).reshape(POINTS, *heat.shape)


def area(curve: np.ndarray) -> np.ndarray:
    """The area under curves [N, POINTS] over the shares 0..1: float64 [N]."""
    return (curve[:, 1:] + curve[:, :-1]).mean(1) / 2


def blurred(image: np.ndarray) -> np.ndarray:
    """A Gaussian blur of float32 [C, H, W] in 0..1, to 8 bits."""
    radius = BLUR * min(image.shape[1:])
    channels = [
        np.asarray(Image.fromarray(one).filter(ImageFilter.GaussianBlur(radius)))
        for one in np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    ]
    return np.stack(channels).astype(np.float32) / np.float32(255)
