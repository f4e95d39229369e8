"""The norms that a perturbation is measured in: its size, and how to shorten it to a radius.

A patch is measured by the share of the image that it covers, which is no norm, but serves as one here.

In every norm an image is at most one radius from its clean one, and inside 0..1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

Norm = Literal["linf", "l2", "l1", "l0", "patch"]
NORMS: tuple[Norm, ...] = get_args(Norm)

ROUNDING = 2.0**-24
"""Largest error of a number of 0..1 that is rounded to float32, doubled to be safe. Perturbations that are
drawn back to a sphere stop short of it by what rounding all pixels can add, so that confining
twice is the same as confining once."""


def flattened(arrays: np.ndarray) -> np.ndarray:
    """N arrays as the rows of one, [N, D]; N may be 0."""
    return arrays.reshape(len(arrays), math.prod(arrays.shape[1:]))


def euclid(arrays: np.ndarray) -> np.ndarray:
    """Euclidean length of each of N arrays, accumulated in float64: [N, 1, 1, 1]."""
    flat = flattened(arrays).astype(np.float64)
    return np.sqrt(np.einsum("nd,nd->n", flat, flat)).reshape(-1, 1, 1, 1)


def changed_pixels(moved: np.ndarray) -> np.ndarray:
    """Which pixels of perturbations [N, C, H, W] are not 0 in every channel: bool [N, H, W]."""
    return (moved != 0).any(1)


def _largest(moved: np.ndarray) -> np.ndarray:
    return np.abs(flattened(moved)).max(1)


def _euclidean(moved: np.ndarray) -> np.ndarray:
    return euclid(moved).reshape(-1)


def _sum(moved: np.ndarray) -> np.ndarray:
    return np.abs(flattened(moved)).astype(np.float64).sum(1)


def _count(moved: np.ndarray) -> np.ndarray:
    return changed_pixels(moved).sum((1, 2)).astype(np.float64)


def into_box(candidates: np.ndarray, images: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Clip each channel to its half-width."""
    candidates = np.clip(candidates, images - radius, images + radius)
    return np.clip(candidates, 0, 1).astype(np.float32)


def to_sphere(candidates: np.ndarray, images: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Draw candidates straight towards their clean image, which keeps them in 0..1: both ends are."""
    kept = np.clip(candidates, 0, 1).astype(np.float32)
    moved = kept.astype(np.float64) - images
    length = euclid(moved)
    aim = np.maximum(radius - ROUNDING * np.sqrt(math.prod(images.shape[1:])), 0)
    drawn = images + aim / np.maximum(length, 1e-30) * moved
    return np.where(length > radius, drawn, kept).astype(np.float32)


def to_l1(candidates: np.ndarray, images: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """The nearest point of the l1 ball cut with 0..1, by Euclidean distance (Croce and Hein 2021, section 3).

    Each component of the perturbation is lowered by one number per image, at least to 0, and cut by the
    range of pixels: min(room, max(0, |moved| - lower)). Projecting on the ball first and clipping
    afterwards gives shorter perturbations, which waste a part of the radius.
    """
    clipped = np.clip(candidates, 0, 1).astype(np.float32)
    moved = flattened(candidates.astype(np.float64) - images)
    room = flattened(np.where(candidates > images, 1 - images.astype(np.float64), images))
    size = np.abs(moved)
    limit = np.broadcast_to(radius.ravel(), len(images)).astype(np.float64)
    far = np.abs(flattened(clipped.astype(np.float64) - images)).sum(1) > limit
    if not far.any():
        return clipped
    aim = np.maximum(limit - ROUNDING * moved.shape[1], 0)[far]
    kept = np.clip(size[far] - _lowered_by(size[far], room[far], aim)[:, None], 0, room[far])
    drawn = images[far] + (np.sign(moved[far]) * kept).reshape(images[far].shape)
    clipped[far] = np.clip(drawn, 0, 1).astype(np.float32)
    return clipped


def _lowered_by(size: np.ndarray, room: np.ndarray, aim: np.ndarray) -> np.ndarray:
    """The t with sum_i min(room_i, max(0, size_i - t)) = aim [n], for rows that are longer than that: [n].

    The sum falls piecewise linearly in t, with corners at size_i - room_i, where a component starts to fall,
    and at size_i, where it reaches 0.
    """
    corners = np.concatenate([np.maximum(size - room, 0), size], axis=1)
    order = np.argsort(corners, axis=1, kind="stable")
    corners = np.take_along_axis(corners, order, axis=1)
    falling = np.cumsum(np.where(order < size.shape[1], 1, -1), axis=1)
    gaps = np.diff(corners, axis=1)
    start = np.minimum(size, room).sum(1)
    sums = start[:, None] - np.concatenate(
        [np.zeros((len(size), 1)), np.cumsum(gaps * falling[:, :-1], axis=1)], axis=1
    )
    last = np.maximum((sums > aim[:, None]).sum(1) - 1, 0)
    rows = np.arange(len(size))
    return corners[rows, last] + (sums[rows, last] - aim) / np.maximum(falling[rows, last], 1)


def to_few(candidates: np.ndarray, images: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Keep the pixels that changed most, by Euclidean length over the channels, and undo the others."""
    kept = np.clip(candidates, 0, 1).astype(np.float32)
    moved = kept.astype(np.float64) - images
    changed = changed_pixels(moved)
    most = int(float(radius.max()) + 1e-6)
    if (changed.sum((1, 2)) <= most).all():
        return kept
    lengths = flattened((moved**2).sum(1))
    ranks = np.empty(lengths.shape, np.int64)
    np.put_along_axis(
        ranks, np.argsort(-lengths, axis=1, kind="stable"), np.arange(lengths.shape[1])[None], 1
    )
    return np.where((ranks < most).reshape(changed.shape)[:, None], kept, images).astype(np.float32)


def _covered(moved: np.ndarray) -> np.ndarray:
    return _count(moved) / (moved.shape[2] * moved.shape[3])


def pixels_of(share: float, height: int, width: int) -> int:
    """How many pixels a patch may cover."""
    return int(share * height * width + 1e-6)


def to_patch(candidates: np.ndarray, images: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Keep changes of so many pixels inside an upright square that a square patch of any rotation fits in.

    Where they are more or further apart, keep the most changed ones around their centre.
    """
    kept = np.clip(candidates, 0, 1).astype(np.float32)
    changed = changed_pixels(kept.astype(np.float64) - images)
    height, width = changed.shape[1:]
    most = pixels_of(float(radius.max()), height, width)
    side = math.ceil(math.sqrt(2 * most))
    for k in np.flatnonzero(changed.any((1, 2))):
        rows, columns = np.nonzero(changed[k])
        if len(rows) <= most and max(np.ptp(rows), np.ptp(columns)) < side:
            continue
        top, left = (int(np.rint(places.mean() - (side - 1) / 2)) for places in (rows, columns))
        window = np.zeros((1, 1, height, width), bool)
        window[:, :, max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)] = True
        inside = np.where(window, kept[k : k + 1], images[k : k + 1])
        kept[k] = to_few(inside, images[k : k + 1], np.full((1, 1, 1), most))[0]
    return kept


@dataclass(frozen=True)
class Geometry:
    """One norm."""

    size: Callable[[np.ndarray], np.ndarray]
    """Of perturbations [N, C, H, W]: float64 [N]."""
    confine: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    """Candidates, clean images and radius to float32 images inside the ball and 0..1. The radius is that of
    all images, or for `linf`, `l2` and `l1` one for each, [N, ...]."""


GEOMETRIES: dict[str, Geometry] = {
    "linf": Geometry(_largest, into_box),
    "l2": Geometry(_euclidean, to_sphere),
    "l1": Geometry(_sum, to_l1),
    "l0": Geometry(_count, to_few),
    "patch": Geometry(_covered, to_patch),
}
