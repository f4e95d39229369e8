"""Adversarial patches, one for each image: random ones, and with position and content optimised.

After Karmon, Zoran and Goldberg 2018 ("LaVAN"): the patch replaces the pixels of a small part of the image,
and may have any colours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..target import Target
from .apgd import ascend
from .base import Attack, Ball, Goal
from .objectives import ScoreObjective
from .pasting import Upright, stencil
from .streams import Streams

WHOLE = Ball("linf", np.full((1, 1, 1), 0.5, np.float32))
"""All colours, around grey."""


def rising(
    search, target: Target, images: np.ndarray, goal: Goal, balls: Sequence[Ball], streams: Streams
) -> Iterator[np.ndarray]:
    """One search after another on the images not yet broken; what fits in a small ball fits in larger ones.

    Args:
        search: called with images, their goal, the ball and their streams; returns candidates.
        target: the model under attack.
        images: as in `Attack.sweep`, like the rest.
        goal: of each image.
        balls: by rising size.
        streams: of each image.
    """
    result, left = images.copy(), np.arange(len(images))
    for ball in balls:
        if len(left) and stencil(ball, *images.shape[2:]).any():
            result = result.copy()
            result[left] = search(images[left], goal.part(left), ball, streams.part(left))
            left = left[~goal.part(left).reached(target.answer(result[left]).scores)]
        yield result


def random_patches(images: np.ndarray, ball: Ball, streams: Streams, draw: int) -> np.ndarray:
    """The images with a patch of random pixels (every other draw: of one random colour) anywhere."""
    inside, drawn = stencil(ball, *images.shape[2:]), streams.fork(draw)
    where = Upright.draw(inside, drawn, 0, *images.shape[2:])
    side, channels = len(inside), images.shape[1]
    shape = (channels, side, side) if draw % 2 == 0 else (channels, 1, 1)
    return where.paste(images, np.broadcast_to(drawn.uniform(1, shape), (len(images), channels, side, side)))


class RandomPatch(Attack):
    """Patches of random pixels at random places: what an optimised patch must beat.

    Args:
        draws: patches tried per image.
    """

    name = "patch"
    needs_gradient = False
    norms = ("patch",)

    def __init__(self, draws: int = 1) -> None:
        self.draws = draws

    def sweep(
        self, target: Target, images: np.ndarray, goal: Goal, balls: Sequence[Ball], streams: Streams
    ) -> Iterator[np.ndarray]:
        """See `Attack.sweep`; every ball is tried by itself, as a random patch of that size."""
        for ball in balls:
            if not stencil(ball, *images.shape[2:]).any():
                yield images.copy()
                continue
            yield tried(target, images, goal, ball, streams, self.draws)[0]


def tried(
    target: Target, images: np.ndarray, goal: Goal, ball: Ball, streams: Streams, draws: int
) -> tuple[np.ndarray, np.ndarray]:
    """Random patches until one reaches the goal: the last ones, and which images are left."""
    result, left = images.copy(), np.arange(len(images))
    for draw in range(draws if len(images) else 0):
        result[left] = random_patches(images[left], ball, streams.part(left), draw)
        left = left[~goal.part(left).reached(target.answer(result[left]).scores)]
        if not len(left):
            break
    return result, left


@dataclass(frozen=True)
class _Content:
    """The margin as a function of a patch in a fixed place of each image; see `objectives.Objective`."""

    objective: ScoreObjective
    images: np.ndarray
    where: Upright

    def __call__(self, points: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        where = self.where.part(places)
        value, gradient, broken = self.objective(where.paste(self.images[places], points), places)
        return value, where.cut(gradient), broken


class Patch(Attack):
    """Optimises where the patch is and what it shows.

    Random patches come first, so this is never weaker than they are. Then Auto-PGD on the content runs for a
    few steps at several places: where the gradient is largest, and random ones. From the best of them
    it goes on. An image that a small patch breaks is not attacked with larger ones.

    Args:
        steps: of the content, at each of the best places.
        places: that are tried for a few steps.
        trial: those steps.
        finalists: of the places, how many get all steps.
        draws: random patches that come first.
    """

    name = "patch"
    norms = ("patch",)

    def __init__(
        self, steps: int = 40, places: int = 48, trial: int = 2, finalists: int = 5, draws: int = 4
    ) -> None:
        self.steps, self.places, self.trial = steps, places, trial
        self.finalists, self.draws = finalists, draws

    def sweep(
        self, target: Target, images: np.ndarray, goal: Goal, balls: Sequence[Ball], streams: Streams
    ) -> Iterator[np.ndarray]:
        """See `Attack.sweep`."""

        def search(part: np.ndarray, aim: Goal, ball: Ball, drawn: Streams) -> np.ndarray:
            return self._search(target, part, aim, ball, drawn)

        return rising(search, target, images, goal, balls, streams)

    def _search(
        self, target: Target, images: np.ndarray, goal: Goal, ball: Ball, streams: Streams
    ) -> np.ndarray:
        result, left = tried(target, images, goal, ball, streams, self.draws)
        if not len(left):
            return result
        images, goal, streams = images[left], goal.part(left), streams.part(left).fork(self.draws)
        objective, inside = ScoreObjective(target, goal, "margin"), stencil(ball, *images.shape[2:])
        candidates = self._candidates(objective, images, inside, streams)
        rounds = [
            self._try(_Content(objective, images, w), images, w, streams, k) for k, w in enumerate(candidates)
        ]
        values = np.stack([value for _, value in rounds], axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        found, going = images.copy(), np.arange(len(images))
        for rank in range(min(self.finalists, len(candidates))):
            pick = order[:, rank]
            content = np.stack([rounds[p][0][k] for k, p in enumerate(pick)])
            top, at = (
                np.array([getattr(candidates[p], a)[k] for k, p in enumerate(pick)]) for a in ("top", "left")
            )
            where = Upright(inside, top, at)
            points, reached = ascend(
                _Content(objective, images, where),
                np.full_like(content, 0.5),
                going,
                WHOLE,
                content[going],
                self.steps,
            )
            pasted = where.part(going).paste(images[going], points)
            found[going] = (
                pasted if rank == 0 else np.where(reached[:, None, None, None], pasted, found[going])
            )
            going = going[~reached]
            if not len(going):
                break
        result[left] = found
        return result

    def _candidates(
        self, objective: ScoreObjective, images: np.ndarray, inside: np.ndarray, streams: Streams
    ) -> list[Upright]:
        """The place where the gradient is largest, and random ones."""
        height, width = images.shape[2:]
        _, gradient, _ = objective(images, np.arange(len(images)))
        sums = np.pad(np.abs(gradient).sum(1, dtype=np.float64), ((0, 0), (1, 0), (1, 0))).cumsum(1).cumsum(2)
        side = len(inside)
        windows = (
            sums[:, side:, side:] - sums[:, :-side, side:] - sums[:, side:, :-side] + sums[:, :-side, :-side]
        )
        best = windows.reshape(len(images), -1).argmax(1)
        found = [Upright(inside, *np.divmod(best, width - side + 1))]
        return found + [Upright.draw(inside, streams, k, height, width) for k in range(1, self.places)]

    def _try(
        self, content: _Content, images: np.ndarray, where: Upright, streams: Streams, number: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """A few steps at one place: the content and its margin."""
        everyone, side = np.arange(len(images)), len(where.inside)
        start = streams.fork(number).uniform(0, (images.shape[1], side, side))
        points, reached = ascend(content, np.full_like(start, 0.5), everyone, WHOLE, start, self.trial)
        value, _, _ = content(points, everyone)
        return points, np.where(reached, np.inf, value)
