"""Budgets of audits: how many images fit into one, and how much time is left."""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass, field

from ..errors import VivavoceError
from .outcomes import Evaluation
from .target import Target

TIME = re.compile(r"(?:(\d{1,6}(?:\.\d{1,6})?)h)?(?:(\d{1,6}(?:\.\d{1,6})?)m)?(?:(\d{1,9}(?:\.\d{1,6})?)s)?")
GRADIENTS = re.compile(r"(\d{1,15})g")
FIRST = 2
"""Images of the first batch under a budget; the batches after it at most double."""
RESERVED = 1 / 3
"""Share of a budget that is kept for the diagnosis at most."""
PER_GRADIENT = 3
"""Cost of a gradient in passes of the model."""
DIAGNOSED, ANSWERED = 120, 5
"""Passes of the model that the diagnosis takes for one of its images, roughly: with attacks, and without."""


@dataclass(frozen=True)
class Budget:
    """What an audit may cost: seconds, or gradients of single images."""

    text: str
    amount: float
    in_gradients: bool = False

    @classmethod
    def read(cls, text: str) -> Budget:
        """Read `10m`, `90s`, `1h30m` or `2000g`.

        Raises:
            VivavoceError: it is neither a time nor a number of gradients, or 0.
        """
        if of_gradients := GRADIENTS.fullmatch(text):
            found = cls(text, int(of_gradients[1]), True)
        elif text and (of_time := TIME.fullmatch(text)):
            hours, minutes, seconds = (float(part or 0) for part in of_time.groups())
            found = cls(text, 3600 * hours + 60 * minutes + seconds)
        else:
            found = cls(text, 0)
        if found.amount <= 0:
            raise VivavoceError(
                f"--budget must be a time such as 90s, 10m or 1h30m, or gradients such as 2000g, not {text!r}"
            )
        return found


@dataclass
class Pace:
    """What the images of a running audit cost, and what follows for those to come.

    Images are attacked in random order, so the mean cost of the finished ones is the best estimate for the
    others. A batch starts only if its images are expected to fit, and then it is finished.
    """

    target: Target
    planned: int
    """Images of the sample."""
    batch_size: int
    diagnosed: int
    """Images of the diagnosis, if there is time."""
    passes: int = DIAGNOSED
    """What each of them takes, in passes of the model."""
    budget: Budget | None = None
    started: float = field(default_factory=time.perf_counter)
    _marks: list[tuple[int, float, int, int]] = field(default_factory=list)
    """Finished images, seconds, gradients and queries at the start of the attacks and after each batch."""
    _gradients: int = 0

    def __post_init__(self) -> None:
        self._gradients = self.target.gradients

    def mark(self, done: int) -> None:
        """Note that so many images are finished."""
        now = time.perf_counter() - self.started
        self._marks.append((done, now, self.target.gradients, self.target.queries))

    def size(self, done: int) -> int:
        """Images of the next batch."""
        if self.budget is None:
            return self.batch_size
        if len(self._marks) < 2:
            return min(FIRST, self.batch_size)
        size = min(self.batch_size, 2 * (self._marks[-1][0] - self._marks[-2][0]))
        while size > max(1, self._fitting / 2):  # half of them, lest a costly batch takes far too long
            size //= 2
        return size

    def enough(self, evaluation: Evaluation, done: int) -> bool:
        """Whether no batch fits the budget any more."""
        return self.budget is not None and self._fitting < 1

    @property
    def seconds_left(self) -> float:
        """The time until the end of the audit, as far as it is known: after the first batch."""
        done = self._marks[-1][0]
        warm = self._marks[1] if len(self._marks) > 2 else self._marks[0]  # the first batch makes sessions
        each = (self._marks[-1][1] - warm[1]) / max(done - warm[0], 1)
        left = each * (self.planned - done) + self.diagnosed * self._diagnosis_each(in_gradients=False)
        if self.budget is None:
            return left
        rest = self.budget.amount - self._spent
        if not self.budget.in_gradients:
            return min(left, max(rest, 0.0))
        passed = self._marks[-1][1] - self._marks[0][1]
        gradients = max(self._marks[-1][2] - self._marks[0][2], 1)
        return min(left, max(rest, 0) * passed / gradients)

    def diagnosable(self, fewest: int) -> int:
        """Images of the diagnosis that fit the rest of the budget, at least `fewest`."""
        each = self._diagnosis_each(self.budget.in_gradients) if self.budget else 0
        if self.budget is None or each <= 0:
            return self.diagnosed
        return max(fewest, min(self.diagnosed, int((self.budget.amount - self._spent) / each)))

    @property
    def _spent(self) -> float:
        assert self.budget is not None
        if self.budget.in_gradients:
            return self.target.gradients - self._gradients
        return time.perf_counter() - self.started

    @property
    def _fitting(self) -> float:
        """How many images more fit the budget beside the diagnosis."""
        assert self.budget is not None
        first, last, of = self._marks[0], self._marks[-1], 2 if self.budget.in_gradients else 1
        each = (last[of] - first[of]) / max(last[0] - first[0], 1)
        diagnosis = self.diagnosed * self._diagnosis_each(self.budget.in_gradients)
        rest = self.budget.amount - self._spent - min(diagnosis, RESERVED * self.budget.amount)
        return rest / each if each > 0 else math.copysign(math.inf, rest)

    def _diagnosis_each(self, in_gradients: bool) -> float:
        """What one image of the diagnosis costs: gradients, or seconds by what attacks took so far."""
        if in_gradients:
            return self.passes / PER_GRADIENT
        first, last = self._marks[0], self._marks[-1]
        passes = PER_GRADIENT * (last[2] - first[2]) + last[3] - first[3]
        return self.passes * (last[1] - first[1]) / passes if passes else 0.0
