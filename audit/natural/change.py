"""One kind of change as a row of a protocol: every image gets it, whatever the model thinks of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ...images import Fit
from ...images.imageset import to_float
from ..attacks.base import Attack, Ball, Goal
from ..attacks.streams import Streams
from ..target import Target
from .draws import Draws
from .filters import eight_bit

SMALL = 64
"""Longest side in pixels of images that get the strengths of CIFAR-10-C; larger ones get ImageNet-C's."""

Strengths = Mapping[int, tuple]
"""The parameters of a change by severity."""


class NaturalChange(Attack):
    """A change without an attacker: no gradient, no target, no ball."""

    needs_gradient = False
    takes_target = False
    stays_in_ball = False
    norms = ()
    everyone = True


class Change(NaturalChange):
    """A change of every image, random or not, rounded down to 8 bits.

    Args:
        name: of the kind.
        change: maps an image float64 [C, H, W] in 0..1, the parameters and random draws to the changed one.
        small: parameters by severity for images up to `SMALL` pixels.
        large: for larger images; None: the same.
    """

    def __init__(
        self, name: str, change: Callable[..., np.ndarray], small: Strengths, large: Strengths | None = None
    ) -> None:
        self.name, self.change = name, change
        self.small, self.large = small, large or small
        self.severities = tuple(small)

    def strength(self, severity: int, height: int, width: int) -> tuple:
        """The parameters for images of a size."""
        return (self.small if max(height, width) <= SMALL else self.large)[severity]

    def apply(self, images: np.ndarray, severity: int, streams: Streams) -> np.ndarray:
        """Change images [N, C, H, W] in 0..1, each with its own draws: float32, multiples of 1/255."""
        strength, own = self.strength(severity, *images.shape[2:]), streams.fork(severity)
        result = np.empty_like(images, np.float32)
        for k, image in enumerate(images):
            draws = Draws(own.part(np.array([k])))
            result[k] = eight_bit(self.change(image.astype(np.float64), *strength, draws))
        return result / np.float32(255)

    def sweep(
        self, target: Target, images: np.ndarray, goal: Goal, balls: Sequence[Ball], streams: Streams
    ) -> Iterator[np.ndarray]:
        """See `Attack.sweep`; the radius of a ball is the severity."""
        for ball in balls:
            yield self.apply(images, ball.severity, streams)


class Reread(NaturalChange):
    """The same images, read from their files with a different filter, as other programs resize them.

    Where the files have the model's size already, nothing changes.

    Args:
        name: of the kind.
        options: fields of `Fit` that differ.
    """

    severities = (1,)

    def __init__(self, name: str, **options: object) -> None:
        self.name, self.options = name, options

    def sweep(
        self, target: Target, images: np.ndarray, goal: Goal, balls: Sequence[Ball], streams: Streams
    ) -> Iterator[np.ndarray]:
        """See `Attack.sweep`."""
        fit = replace(Fit.of(target.model.manifest.input), **self.options)  # type: ignore[arg-type]
        data, places = target.under
        again = to_float(data.pixels(places, fit))
        for _ in balls:
            yield again
