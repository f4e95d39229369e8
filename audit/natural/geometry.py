"""Rotation, translation, scale, shear and mirroring; what comes in from outside is black.

After Engstrom et al. 2019, "Exploring the landscape of spatial robustness".
Images are float64 [C, H, W] in 0..1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from ..attacks.base import Ball, Goal
from ..attacks.streams import Streams
from ..target import Target
from .change import NaturalChange
from .draws import Draws
from .filters import eight_bit, moved

Place = tuple[float, ...]
"""The parameters of one change, each in -1..1, in units of the largest."""


def rotated(image: np.ndarray, most: float, place: Place) -> np.ndarray:
    """Turn about the centre, by at most so many degrees."""
    angle = np.deg2rad(most * place[0])
    sine, cosine = np.sin(angle), np.cos(angle)
    return _about_centre(image, np.array([[cosine, sine], [-sine, cosine]]))


def translated(image: np.ndarray, most: float, place: Place) -> np.ndarray:
    """Shift by whole pixels, at most by a share of each side."""
    height, width = image.shape[1:]
    down, right = (round(most * side * part) for side, part in zip((height, width), place, strict=True))
    result = np.zeros_like(image)
    rows = slice(max(down, 0), height + min(down, 0)), slice(max(-down, 0), height + min(-down, 0))
    columns = slice(max(right, 0), width + min(right, 0)), slice(max(-right, 0), width + min(-right, 0))
    result[:, rows[0], columns[0]] = image[:, rows[1], columns[1]]
    return result


def scaled(image: np.ndarray, most: float, place: Place) -> np.ndarray:
    """Enlarge (above 0) or shrink (below 0) about the centre, at most by this factor."""
    return _about_centre(image, np.eye(2) * float(most) ** -place[0])


def sheared(image: np.ndarray, most: float, place: Place) -> np.ndarray:
    """Slant to the side, by at most so many degrees."""
    return _about_centre(image, np.array([[1, 0], [np.tan(np.deg2rad(most * place[0])), 1]]))


def mirrored(image: np.ndarray, draws: Draws) -> np.ndarray:
    """Left for right."""
    return image[:, :, ::-1]


def _about_centre(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    if np.array_equal(matrix, np.eye(2)):
        return image
    centre = (np.array(image.shape[1:]) - 1) / 2
    return moved(image, np.column_stack([matrix, centre - matrix @ centre]), "black")


Motion = Callable[[np.ndarray, float, Place], np.ndarray]


def at_random(motion: Motion, parameters: int) -> Callable[[np.ndarray, float, Draws], np.ndarray]:
    """The change with random parameters, evenly up to the largest."""

    def change(image: np.ndarray, most: float, draws: Draws) -> np.ndarray:
        return motion(image, most, tuple(draws.uniform(-1, 1, (parameters,)).tolist()))

    return change


def grid(parameters: int) -> Iterator[Place]:
    """The grid of one severity: every parameter at its least, 0 and its largest; without the identity."""
    for place in np.ndindex((3,) * parameters):
        if any(part != 1 for part in place):
            yield tuple(float(part - 1) for part in place)


class Worst(NaturalChange):
    """The worst of a grid: an image stands only if it stands every member.

    The grid of a severity holds those of the smaller ones and the image itself. An image that one member
    breaks is not tried on the others.

    Args:
        name: of the attack.
        motion: the change.
        parameters: how many it has.
        strengths: its largest parameter by severity.
    """

    everyone = False  # it stops at the first member that breaks an image

    def __init__(self, name: str, motion: Motion, parameters: int, strengths: Mapping[int, float]) -> None:
        self.name, self.motion, self.parameters, self.strengths = name, motion, parameters, strengths
        self.severities = tuple(strengths)

    def members(self, severity: int) -> Iterator[tuple[float, Place]]:
        """The grid of a severity, without the identity: strength and place of each member."""
        for level, most in self.strengths.items():
            if level <= severity:
                yield from ((most, place) for place in grid(self.parameters))

    def sweep(
        self, target: Target, images: np.ndarray, goal: Goal, balls: Sequence[Ball], streams: Streams
    ) -> Iterator[np.ndarray]:
        """See `Attack.sweep`; the radius of a ball is the severity."""
        result, left, tried = images.copy(), np.arange(len(images)), 0
        for ball in balls:
            members = list(self.members(ball.severity))
            for most, place in members[tried:]:
                if not len(left):
                    break
                changed = np.stack([self._changed(images[k], most, place) for k in left])
                result[left] = changed
                left = left[~goal.part(left).reached(target.answer(changed).scores)]
            tried = max(tried, len(members))
            result[left] = images[left]
            yield result.copy()

    def _changed(self, image: np.ndarray, most: float, place: Place) -> np.ndarray:
        levels = eight_bit(self.motion(image.astype(np.float64), most, place))
        return levels.astype(np.float32) / np.float32(255)
