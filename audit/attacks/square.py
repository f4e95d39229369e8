"""Square attack (Andriushchenko et al. 2020): random search with squares; only scores are needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..target import Target
from .base import Attack, Ball, Goal
from .norms import GEOMETRIES
from .streams import Streams

HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""Iterations after which the share of changed pixels is halved (section 3.3, for 10,000 queries; not
stretched to other numbers, as in the ensemble of Croce and Hein 2020)."""


class Square(Attack):
    """Changes a random square at a time and keeps the change if it lowers the margin.

    An image is not attacked further once it is adversarial.

    Args:
        queries: per image.
        share: of the pixels that the first squares cover (p_init).
    """

    name = "square"
    needs_gradient = False
    norms = ("linf", "l2", "l1")

    def __init__(self, queries: int = 5000, share: float = 0.8) -> None:
        self.queries, self.share = queries, share

    def sweep(
        self, target: Target, images: np.ndarray, goal: Goal, balls: Sequence[Ball], streams: Streams
    ) -> Iterator[np.ndarray]:
        """See `Attack.sweep`."""
        for ball in balls:
            yield self._search(target, images, goal, ball, streams)

    def _search(
        self, target: Target, images: np.ndarray, goal: Goal, ball: Ball, streams: Streams
    ) -> np.ndarray:
        start, propose = (stripes, window) if ball.norm == "linf" else (tiles, transfer)
        result, left = ball.confine(images + start(images, ball, streams), images), np.arange(len(images))
        scores = target.answer(result).scores
        margin = goal_margin(goal, scores)
        left = left[~goal.reached(scores)]
        for k in range(1, self.queries):
            if len(left) == 0:
                break
            clean, best = images[left], result[left]
            side = _side(share_of_pixels(self.share, k), *images.shape[2:], norm=ball.norm)
            candidates = ball.confine(propose(clean, best, ball, streams.part(left), k, side), clean)
            scores = target.answer(candidates).scores
            value = goal_margin(goal.part(left), scores)
            better = value < margin[left]
            better |= (reached := goal.part(left).reached(scores))
            result[left[better]], margin[left[better]] = candidates[better], value[better]
            left = left[~reached]
        return result


def goal_margin(goal: Goal, scores: np.ndarray) -> np.ndarray:
    """Distance to the goal, in scores: [N]; below 0 where it is reached.

    Untargeted: score of the true class minus the largest other; targeted: largest other minus the
    target's.
    """
    rows = np.arange(len(scores))
    own = scores[rows, goal.classes]
    others = scores.copy()
    others[rows, goal.classes] = -np.inf
    with np.errstate(invalid="ignore"):  # infinity less infinity: not a number, which no comparison prefers
        return goal.direction * (own - others.max(1))


def share_of_pixels(first: float, iteration: int) -> float:
    """Share of the pixels that a square covers: `first`, halved after each of `HALVINGS`."""
    return first / 2 ** sum(iteration > mark for mark in HALVINGS)


def _side(share: float, height: int, width: int, *, norm: str) -> int:
    """Side of a square of that share of the image; for bumps (l2, l1) odd and at least 3."""
    side = max(round((share * height * width) ** 0.5), 1)
    if norm != "linf":
        side = max(side, 3)
        side += side % 2 == 0
    return min(side, height, width)


def stripes(images: np.ndarray, ball: Ball, streams: Streams) -> np.ndarray:
    """Vertical stripes one pixel wide, up or down by the whole half-width (section 3.3, initialisation)."""
    _, channels, _, width = images.shape
    return ball.radius * streams.signs(0, (channels, 1, width))


def window(
    clean: np.ndarray, best: np.ndarray, ball: Ball, streams: Streams, k: int, side: int
) -> np.ndarray:
    """Algorithm 2: one square goes up or down by twice the half-width, per channel; the box cuts it."""
    inside = _Windows.draw(streams, 3 * k, clean.shape[2:], side).mask
    return best + 2 * ball.radius * streams.signs(3 * k + 1, (clean.shape[1], 1, 1)) * inside


def tiles(images: np.ndarray, ball: Ball, streams: Streams) -> np.ndarray:
    """A grid of 5 by 5 bumps of random sign, the whole as long as the radius (section 3.4)."""
    n, channels, height, width = images.shape
    side = max(min(height, width) // 5, 1)
    rows, columns = height // side, width // side
    upright = streams.integers(1, 2, (1, rows, columns)) == 0
    signs = streams.signs(0, (channels, rows, columns))
    shape = bump(side)
    cells = np.where(upright[..., None, None], shape, shape.T) * signs[..., None, None]
    grid = cells.transpose(0, 1, 2, 4, 3, 5).reshape(n, channels, rows * side, columns * side)
    top, left = (height - rows * side) // 2, (width - columns * side) // 2
    pattern = np.zeros(images.shape, np.float32)
    pattern[:, :, top : top + rows * side, left : left + columns * side] = grid
    return ball.radius * pattern / np.maximum(_sizes(pattern, ball), 1e-30)


def transfer(
    clean: np.ndarray, best: np.ndarray, ball: Ball, streams: Streams, k: int, side: int
) -> np.ndarray:
    """Algorithm 3: a bump is added in one window, paid for by clearing another.

    In each channel of the first window the new perturbation points along the bump, up or down, plus the
    old one, both of length 1; its squared length (l1: its sum) is that of both windows together plus the
    channel's part of what the ball still allows.
    """
    moved = (best - clean).astype(np.float64)
    channels = clean.shape[1]
    here = _Windows.draw(streams, 3 * k, clean.shape[2:], side)
    there = _Windows.draw(streams, 3 * k + 1, clean.shape[2:], side)
    power = 2 if ball.norm == "l2" else 1
    unused = np.maximum(ball.radius.astype(np.float64) ** power - _sizes(moved, ball) ** power, 0)
    both = here.mask | there.mask
    parts = (both * np.abs(moved) ** power).sum((2, 3), keepdims=True)
    allowed = (parts + unused / channels) ** (1 / power)
    signs = streams.signs(3 * k + 2, (channels + 1, 1, 1))
    upright = signs[:, channels:] > 0
    shape = np.where(upright, bump(side), bump(side).T)
    old = here.take(moved)
    shape = shape / _length(shape, 1) if power == 1 else shape
    fresh = signs[:, :channels] * shape + old / np.maximum(_length(old, power), 1e-12)
    fresh *= allowed / np.maximum(_length(fresh, power), 1e-12)
    moved = np.where(there.mask, 0, moved)
    here.put(moved, fresh)
    return clean + moved * (ball.radius / np.maximum(_sizes(moved, ball), 1e-12))


def _sizes(moved: np.ndarray, ball: Ball) -> np.ndarray:
    """Sizes of perturbations in the ball's norm: [N, 1, 1, 1]."""
    return GEOMETRIES[ball.norm].size(moved).reshape(-1, 1, 1, 1)


def _length(windows: np.ndarray, power: int) -> np.ndarray:
    """Norm of each channel's window, l2 or l1."""
    return (np.abs(windows) ** power).sum((2, 3), keepdims=True) ** (1 / power)


def bump(side: int) -> np.ndarray:
    """Two hills of opposite sign beside each other, of length 1: float64 [side, side] (equation 2)."""
    half = side // 2
    both = np.concatenate([_hill(half, side), -_hill(side - half, side)]) if half else np.ones((1, 1))
    return both / np.sqrt((both**2).sum())


def _hill(height: int, width: int) -> np.ndarray:
    """Sum_{k=0}^{M} 1 / (n + 1 - k)^2, n half the longer side, M = n - distance to the centre.

    The distance is the larger of those along the two sides.
    """
    rows = np.abs(np.arange(1, height + 1) - height // 2 - 1)
    columns = np.abs(np.arange(1, width + 1) - width // 2 - 1)
    distance = np.maximum(rows[:, None], columns)
    n = max(height, width) // 2
    terms = np.cumsum(1 / (n + 1 - np.arange(n + 1)) ** 2)
    return terms[np.clip(n - distance, 0, n)]


@dataclass(frozen=True)
class _Windows:
    """One square window per image."""

    top: np.ndarray
    left: np.ndarray
    side: int
    size: tuple[int, ...]

    @classmethod
    def draw(cls, streams: Streams, step: int, size: tuple[int, ...], side: int) -> _Windows:
        """Anywhere in images of size (height, width), evenly."""
        both = streams.uniform(step, (2,)).astype(np.float64)
        top, left = (np.floor(both[:, a] * (size[a] - side + 1)).astype(np.int64) for a in (0, 1))
        return cls(top, left, side, size)

    @property
    def mask(self) -> np.ndarray:
        """bool [N, 1, H, W]."""
        rows, columns = (
            (np.arange(length) >= first[:, None]) & (np.arange(length) < first[:, None] + self.side)
            for length, first in zip(self.size, (self.top, self.left), strict=True)
        )
        return (rows[:, :, None] & columns[:, None, :])[:, None]

    def _index(self, channels: int) -> tuple[np.ndarray, ...]:
        steps = np.arange(self.side)
        return (
            np.arange(len(self.top))[:, None, None, None],
            np.arange(channels)[None, :, None, None],
            (self.top[:, None] + steps)[:, None, :, None],
            (self.left[:, None] + steps)[:, None, None, :],
        )

    def take(self, arrays: np.ndarray) -> np.ndarray:
        """The windows of arrays [N, C, H, W]: [N, C, side, side]."""
        return arrays[self._index(arrays.shape[1])]

    def put(self, arrays: np.ndarray, windows: np.ndarray) -> None:
        """Write into the windows."""
        arrays[self._index(arrays.shape[1])] = windows
