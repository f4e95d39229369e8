"""Explanations from the gradient with respect to the image; all return float32 [N, C, H, W]."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .subject import Subject

PIECES, NODES = 16, 8
"""Pieces of the path of integrated gradients at first, and points of the quadrature in each."""
GAP = 0.01
"""Share of the difference between both ends that may be missing."""
MOST = 4096
"""Most gradients of one image."""
SAMPLES = 50
"""Noisy copies of SmoothGrad, as in its paper."""
NOISE = 0.15
"""Their standard deviation over the image's range; the paper finds 10 to 20 % best."""


class Integrated(NamedTuple):
    """Integrated gradients, and what they miss."""

    attribution: np.ndarray
    """float32 [N, C, H, W]."""
    gap: np.ndarray
    """|sum of the attributions - (f(image) - f(black))| / |f(image) - f(black)|, float64 [N]."""


def saliency(subject: Subject, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The gradient itself (Simonyan et al. 2014)."""
    return subject.gradient(images, classes)[1]


def gradient_times_input(subject: Subject, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Each pixel times its gradient (Shrikumar et al. 2016); for pixels in 0..1."""
    return images * subject.gradient(images, classes)[1]


def integrated_gradients(
    subject: Subject,
    images: np.ndarray,
    classes: np.ndarray,
    pieces: int = PIECES,
    nodes: int = NODES,
    most: int = MOST,
) -> Integrated:
    """The gradient's mean on the straight path from black, times the image (Sundararajan et al. 2017).

    The attributions sum to the difference between the values at both ends, up to the error of the
    quadrature. This holds for every piece of the path, so pieces with a large error are halved until the
    errors sum to less than `GAP` of the difference.

    Args:
        subject: the model and the number.
        images: float32 [N, C, H, W] in 0..1.
        classes: int64 [N].
        pieces: equal pieces of the path at first.
        nodes: points of Gauss-Legendre quadrature in each.
        most: no piece is halved once this many gradients of an image were taken.
    """
    found = [_integrate(subject, x, c, pieces, nodes, most) for x, c in zip(images, classes, strict=True)]
    return Integrated(np.stack([f[0] for f in found]), np.array([f[1] for f in found]))


def _integrate(
    subject: Subject, image: np.ndarray, goal: int, pieces: int, nodes: int, most: int
) -> tuple[np.ndarray, float]:
    """Integrated gradients of one image, and the share of the difference that they miss."""
    points, weights = np.polynomial.legendre.leggauss(nodes)
    ends = np.linspace(0, 1, pieces + 1)
    todo = np.stack([ends[:-1], ends[1:]], 1)
    whole = _rises(subject, image, goal, todo).sum()
    mean, error, taken = np.zeros(image.shape), np.zeros(0), 0
    while len(todo):
        places = todo.mean(1)[:, None] + np.diff(todo) / 2 * points
        path = places.ravel().astype(np.float32)[:, None, None, None] * image
        slopes = subject.gradient(path, np.full(len(path), goal))[1].reshape(*places.shape, *image.shape)
        parts = np.einsum("pn,pnchw->pchw", np.diff(todo) / 2 * weights, slopes, dtype=np.float64)
        taken += len(path)
        missed = (parts * image).sum((1, 2, 3)) - _rises(subject, image, goal, todo)
        bound = GAP * abs(whole)
        total = np.abs(error).sum() + np.abs(missed).sum()
        halve = np.abs(missed) > bound / (len(todo) + len(error))
        halve &= total > bound
        halve[np.argsort(-np.abs(missed))[max(0, (most - taken) // (2 * nodes)) :]] = False
        mean += parts[~halve].sum(0)
        error = np.concatenate([error, missed[~halve]])
        middle = todo[halve].mean(1)
        todo = np.concatenate([np.stack([todo[halve, 0], middle], 1), np.stack([middle, todo[halve, 1]], 1)])
    return (image * mean).astype(np.float32), float(abs(error.sum()) / max(abs(whole), 1e-12))


def _rises(subject: Subject, image: np.ndarray, goal: int, pieces: np.ndarray) -> np.ndarray:
    """How much the value rises from the beginning to the end of each piece [P, 2] of the path."""
    places, back = np.unique(pieces, return_inverse=True)
    path = places.astype(np.float32)[:, None, None, None] * image
    return np.diff(subject.values(path, np.full(len(path), goal))[back].reshape(pieces.shape))[:, 0]


def smoothgrad(
    subject: Subject, images: np.ndarray, classes: np.ndarray, samples: int = SAMPLES, seed: int = 0
) -> np.ndarray:
    """The gradient's mean over copies with Gaussian noise (Smilkov et al. 2017).

    Every image gets the same noise, scaled by its range, so an explanation does not depend on the others.
    """
    shape = (samples, *images.shape[1:])
    noise = np.random.default_rng(seed).standard_normal(shape, np.float32)
    result = np.zeros_like(images)
    for k, (image, goal) in enumerate(zip(images, classes, strict=True)):
        noisy = image + np.float32(NOISE) * np.ptp(image) * noise
        result[k] = subject.gradient(noisy, np.full(samples, goal))[1].mean(0, dtype=np.float64)
    return result
