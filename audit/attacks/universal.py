"""One pattern for all images: universal patches and universal perturbations.

The pattern is learned on images of its own, and judged on others; see `audit.learning`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..target import Target
from .base import Attack, Ball, Goal
from .norms import GEOMETRIES
from .objectives import ScoreObjective
from .pasting import Turned, stencil
from .streams import Streams

Lesson = Callable[[int], tuple[np.ndarray, np.ndarray, Streams]]
"""The images of one step: clean images [n, C, H, W], their true classes [n] and streams."""
MOMENTS = (0.9, 0.999)
"""Of Adam (Kingma and Ba 2015)."""


class Universal(Attack):
    """Learns one pattern, which it applies to every image.

    Args:
        steps: of gradient ascent on the mean margin of the images that the pattern does not break.
        rate: length of the first steps, as a share of the range of values; it falls to zero along a cosine.
    """

    takes_target = False

    def __init__(self, steps: int = 200, rate: float = 0.1) -> None:
        self.steps, self.rate = steps, rate

    @abstractmethod
    def learn(self, target: Target, lesson: Lesson, ball: Ball) -> np.ndarray:
        """Learn the pattern for one ball.

        Args:
            target: the model under attack.
            lesson: gives the images of each step.
            ball: the allowed perturbation.

        Returns:
            float32 [C, height, width].
        """

    @abstractmethod
    def apply(self, images: np.ndarray, pattern: np.ndarray, ball: Ball, streams: Streams) -> np.ndarray:
        """Put the pattern into images [N, C, H, W]."""

    def key(self, ball: Ball) -> tuple[str, ...]:
        """What the pattern of this ball is kept under in `Target.patterns`."""
        return self.name, ball.norm, ball.shape, *(f"{width:.8g}" for width in ball.widths)

    def sweep(
        self, target: Target, images: np.ndarray, goal: Goal, balls: Sequence[Ball], streams: Streams
    ) -> Iterator[np.ndarray]:
        """See `Attack.sweep`; the patterns of all balls must have been learned."""
        for ball in balls:
            if not len(images) or ball.radius.max() == 0:
                yield images.copy()
            else:
                yield ball.confine(self.apply(images, target.patterns[self.key(ball)], ball, streams), images)


@dataclass
class _Ascent:
    """Adam on one pattern."""

    pattern: np.ndarray
    steps: int
    rate: float

    def __post_init__(self) -> None:
        self.first, self.second = np.zeros_like(self.pattern), np.zeros_like(self.pattern)

    def step(self, number: int, slope: np.ndarray) -> None:
        """Go one step up; `number` counts from 0."""
        self.first = MOMENTS[0] * self.first + (1 - MOMENTS[0]) * slope
        self.second = MOMENTS[1] * self.second + (1 - MOMENTS[1]) * slope**2
        mean, spread = (
            m / (1 - b ** (number + 1)) for m, b in zip((self.first, self.second), MOMENTS, strict=True)
        )
        rate = self.rate * (1 + np.cos(np.pi * number / self.steps)) / 2
        self.pattern = self.pattern + rate * mean / (np.sqrt(spread) + 1e-12)


def _slopes(target: Target, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Gradients of the margins of the images that are not broken; 0 for the others."""
    objective = ScoreObjective(target, Goal(labels), "margin")
    _, gradient, broken = objective(images, np.arange(len(images)))
    return np.where(broken[:, None, None, None], 0, gradient)


class UniversalPatch(Universal):
    """One patch at random places, scales and rotations (Brown et al. 2017, "Adversarial patch").

    It is learned for random placements, and judged at one random placement in each image.
    """

    name = "patch-universal"
    norms = ("patch",)

    def learn(self, target: Target, lesson: Lesson, ball: Ball) -> np.ndarray:
        """See `Universal.learn`; [C, side, side] for a patch of that many pixels."""
        images, _, streams = lesson(0)
        side = len(stencil(ball, *images.shape[2:]))
        start = streams.part(np.array([0])).fork(1).uniform(0, (images.shape[1], side, side))[0]
        ascent = _Ascent(start.astype(np.float64), self.steps, self.rate)
        for number in range(self.steps):
            images, labels, streams = lesson(number)
            where = Turned.draw(ball, side, streams, number + 1, *images.shape[2:])
            pasted = where.paste(images, ascent.pattern.astype(np.float32))
            ascent.step(number, where.gather(_slopes(target, pasted, labels), side))
            ascent.pattern = np.clip(ascent.pattern, 0, 1)
        return ascent.pattern.astype(np.float32)

    def apply(self, images: np.ndarray, pattern: np.ndarray, ball: Ball, streams: Streams) -> np.ndarray:
        """See `Universal.apply`."""
        return Turned.draw(ball, pattern.shape[1], streams, 0, *images.shape[2:]).paste(images, pattern)


class UniversalPerturbation(Universal):
    """One perturbation for all images (Moosavi-Dezfooli et al. 2017).

    Gradient ascent on many images finds it, as in Shafahi et al. 2020.
    """

    name = "universal"

    def learn(self, target: Target, lesson: Lesson, ball: Ball) -> np.ndarray:
        """See `Universal.learn`; the perturbation [C, H, W]."""
        images, _, streams = lesson(0)
        signs = streams.part(np.array([0])).fork(1).signs(0, images.shape[1:])[0]
        unit = _within(signs.astype(np.float64), ball)
        longest = np.abs(unit).max()
        ascent = _Ascent(unit, self.steps, self.rate * 2 * longest)
        for number in range(self.steps):
            images, labels, _ = lesson(number)
            moved = np.clip(images + ascent.pattern, 0, 1).astype(np.float32)
            ascent.step(number, _slopes(target, moved, labels).sum(0, dtype=np.float64))
            ascent.pattern = _within(ascent.pattern, ball)
        return ascent.pattern.astype(np.float32)

    def apply(self, images: np.ndarray, pattern: np.ndarray, ball: Ball, streams: Streams) -> np.ndarray:
        """See `Universal.apply`."""
        return images + pattern


def _within(pattern: np.ndarray, ball: Ball) -> np.ndarray:
    """The pattern, no larger than the ball in its norm."""
    if ball.norm == "linf":
        return np.clip(pattern, -ball.radius, ball.radius)
    size = float(GEOMETRIES[ball.norm].size(pattern[None])[0])
    return pattern * min(1.0, float(ball.radius.max()) / max(size, 1e-30))
