"""Sparse-RS for patches (Croce et al. 2022): random search over place and content; only scores are needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..target import Target
from .base import Attack, Ball, Goal
from .pasting import Upright, stencil
from .patch import rising, tried
from .square import goal_margin
from .streams import Streams

HALVINGS = (10, 50, 200, 500, 1000, 4000, 8000)
"""After which of 10,000 queries the share of the patch that changes at a time is halved."""
MOVES = 5
"""Every so many queries the patch moves; in between its content changes."""
FAR = 0.75
"""Longest first move, as a share of the image; moves get shorter with every query."""


class PatchRS(Attack):
    """Changes the colour of a square of the patch, or moves it, and keeps what lowers the margin.

    Random patches come first, as in `Patch`. An image is not attacked further once it is adversarial.

    Args:
        queries: per image.
        share: of the patch that the first squares cover (alpha_init).
        draws: random patches that come first.
    """

    name = "patch"
    needs_gradient = False
    norms = ("patch",)

    def __init__(self, queries: int = 2000, share: float = 0.4, draws: int = 4) -> None:
        self.queries, self.share, self.draws = queries, share, draws

    def sweep(
        self, target: Target, images: np.ndarray, goal: Goal, balls: Sequence[Ball], streams: Streams
    ) -> Iterator[np.ndarray]:
        """See `Attack.sweep`."""

        def search(part: np.ndarray, aim: Goal, ball: Ball, drawn: Streams) -> np.ndarray:
            result, left = tried(target, part, aim, ball, drawn, self.draws)
            if len(left):
                rest = drawn.part(left).fork(self.draws)
                result[left] = self._search(target, part[left], aim.part(left), ball, rest)
            return result

        return rising(search, target, images, goal, balls, streams)

    def _search(
        self, target: Target, images: np.ndarray, goal: Goal, ball: Ball, streams: Streams
    ) -> np.ndarray:
        height, width = images.shape[2:]
        inside = stencil(ball, height, width)
        side, channels = len(inside), images.shape[1]
        where = Upright.draw(inside, streams, 0, height, width)
        stripes = (streams.signs(1, (channels, 1, side)) + 1) / 2
        content = np.repeat(stripes, side, axis=2)
        scores = target.answer(where.paste(images, content)).scores
        margin, left = goal_margin(goal, scores), np.flatnonzero(~goal.reached(scores))
        for step in range(1, self.queries):
            if not len(left):
                break
            drawn, place, ahead = streams.part(left), where.part(left), content[left]
            if step % MOVES == 0:
                place = self._moved(place, drawn, step, height, width)
            else:
                ahead = self._recoloured(ahead, drawn, step)
            scores = target.answer(place.paste(images[left], ahead)).scores
            value, reached = goal_margin(goal.part(left), scores), goal.part(left).reached(scores)
            better = (value < margin[left]) | reached
            kept = left[better]
            content[kept], margin[kept] = ahead[better], value[better]
            where.top[kept], where.left[kept] = place.top[better], place.left[better]
            left = left[~reached]
        return where.paste(images, content)

    def _moved(self, where: Upright, streams: Streams, step: int, height: int, width: int) -> Upright:
        side, longest = len(where.inside), FAR * (1 - step / self.queries)
        both = 2 * streams.uniform(4 * step, (2,)).astype(np.float64) - 1
        ends = []
        for axis, (start, size) in enumerate(((where.top, height), (where.left, width))):
            far = max(round(longest * size), 1)
            ends.append(np.clip(start + np.rint(both[:, axis] * far).astype(np.int64), 0, size - side))
        return Upright(where.inside, *ends)

    def _recoloured(self, content: np.ndarray, streams: Streams, step: int) -> np.ndarray:
        """One square of each patch gets brighter or darker to the end, per channel."""
        channels, side = content.shape[1:3]
        place = step * 10_000 // self.queries
        share = self.share / 2 ** sum(place > mark for mark in HALVINGS)
        small = max(int(share**0.5 * side), 1)
        both = streams.integers(4 * step + 1, side - small + 1, (2,))
        steps = np.arange(side)
        rows, columns = ((steps >= both[:, a : a + 1]) & (steps < both[:, a : a + 1] + small) for a in (0, 1))
        window = (rows[:, :, None] & columns[:, None, :])[:, None]
        signs = streams.signs(4 * step + 2, (channels, 1, 1))
        return np.where(window, np.clip(content + signs, 0, 1), content)
