"""Explanations from a convolutional layer: Grad-CAM and HiResCAM."""

from __future__ import annotations

import numpy as np
from PIL import Image

from .subject import Subject


def grad_cam(subject: Subject, images: np.ndarray, classes: np.ndarray, layer: str) -> np.ndarray:
    """Channels of the layer weighed by their mean gradient, what is positive (Selvaraju et al. 2017).

    Returns:
        float32 [N, 1, H, W] on the image's pixels.
    """
    value, gradient = subject.inner(layer, images, classes)
    weights = gradient.mean((2, 3), keepdims=True)
    return _on_pixels((weights * value).sum(1), images.shape[2:])


def hires_cam(subject: Subject, images: np.ndarray, classes: np.ndarray, layer: str) -> np.ndarray:
    """The layer times its gradient, summed over channels, what is positive (Draelos & Carin 2021).

    Unlike Grad-CAM it does not average the gradient over places; where only a mean and one linear layer
    follow, both are the same.

    Returns:
        float32 [N, 1, H, W] on the image's pixels.
    """
    value, gradient = subject.inner(layer, images, classes)
    return _on_pixels((gradient * value).sum(1), images.shape[2:])


def _on_pixels(maps: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """What is positive of maps [N, h, w], bilinear at the image's size [N, 1, H, W]."""
    height, width = size
    positive = np.maximum(maps, 0).astype(np.float32)
    enlarge = Image.Resampling.BILINEAR
    grown = [np.asarray(Image.fromarray(one).resize((width, height), enlarge)) for one in positive]
    return np.stack(grown)[:, None]
