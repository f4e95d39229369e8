"""The sessions of one gradient, each for one shape of its input."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..artifacts.device import rounded_up

if TYPE_CHECKING:
    import onnxruntime

KEPT = 6
"""Sessions that stay loaded; each holds the weights and their transposes."""


class Pool:
    """Decides in which sizes a batch runs, and keeps the sessions.

    A batch runs whole in a size of its own, or filled up to at most twice its size. Where there is room for
    one session more, that one takes single images, and from then on what fits no size runs in several parts.

    Args:
        make: makes the session for an input of a shape.
        rounded: make sizes only that are powers of two, or the largest.
    """

    def __init__(
        self, make: Callable[[tuple[int, ...]], onnxruntime.InferenceSession], rounded: bool = False
    ) -> None:
        self.make, self.rounded = make, rounded
        self.largest: int | None = None
        """Most images of a run; None: any number."""
        self.kept = KEPT
        """Most sessions at a time."""
        self._sessions: dict[tuple[int, ...], onnxruntime.InferenceSession] = {}

    def size(self, count: int, rest: tuple[int, ...]) -> int:
        """The batch size to run next, for `count` images of the sizes `rest` that are left."""
        count = min(count, self.largest or count)
        there = [shape[0] for shape in self._sessions if shape[1:] == rest]
        fitting = [size for size in there if count <= size <= 2 * count]
        if fitting:
            return min(fitting)
        if not there or count > 2 * max(there) or len(self._sessions) < self.kept - 1:
            return min(rounded_up(count), self.largest or rounded_up(count)) if self.rounded else count
        if len(self._sessions) < self.kept:
            return 1
        return max((size for size in there if size <= count), default=min(there))

    def session(self, shape: tuple[int, ...]) -> onnxruntime.InferenceSession:
        """The session for an input of this shape."""
        if shape not in self._sessions:
            if len(self._sessions) >= self.kept:
                self._sessions.pop(next(iter(self._sessions)))  # the oldest
            self._sessions[shape] = self.make(shape)
        return self._sessions[shape]
