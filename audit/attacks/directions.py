"""Directions of norm 1: along a gradient, or at random."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .base import Ball
from .norms import Norm, euclid
from .streams import Streams


def steepest(gradient: np.ndarray, norm: Norm) -> np.ndarray:
    """The step of norm 1 along which a linear function with gradient [N, C, H, W] grows most.

    l-infinity: the sign. l2: the gradient divided by its length; where it is zero, no step.
    """
    if norm == "linf":
        return np.sign(gradient)
    return (gradient / np.maximum(euclid(gradient), 1e-30)).astype(np.float32)


def random_direction(streams: Streams, step: int, shape: Sequence[int], norm: Norm) -> np.ndarray:
    """A random direction of norm 1 for each image: float32 [N, *shape].

    l-infinity: a point of the cube, stretched until it touches a face; l2: uniform on the sphere; l1: normal
    numbers that sum to 1.
    """
    if norm == "l2":
        return steepest(streams.normal(step, shape), norm)
    if norm == "l1":
        normal = streams.normal(step, shape)
        return normal / np.maximum(np.abs(normal).sum((1, 2, 3), keepdims=True), np.float32(1e-30))
    point = 2 * streams.uniform(step, shape) - 1
    return point / np.maximum(np.abs(point).max((1, 2, 3), keepdims=True), np.float32(1e-30))


def random_point(streams: Streams, step: int, images: np.ndarray, ball: Ball) -> np.ndarray:
    """A point for each image, uniform in its ball, then clipped to 0..1: float32 [N, C, H, W]."""
    shape = images.shape[1:]
    if ball.norm == "linf":
        moved = 2 * streams.uniform(step, shape) - 1
    else:
        share = streams.fork(step).uniform(0, (1, 1, 1)) ** np.float32(1 / math.prod(shape))
        moved = share * random_direction(streams, step, shape, "l2")
    return ball.confine(images + ball.radius * moved, images)
