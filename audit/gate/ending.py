"""Ends the attacks of a check where its answer is decided."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import msgspec
import numpy as np

from ...artifacts import ExportedModel
from ..outcomes import Evaluation
from ..report import Report
from ..summary import so_far
from .limits import Limits
from .matching import Side, figures, names_of, sides_of
from .rows import can_drop
from .stopping import Row, Stopping


class Ended(msgspec.Struct, frozen=True):
    """A protocol of a check that ended early."""

    protocol: str
    decision: Literal["passed", "failed"]
    n: int
    """Images that the new model was attacked on."""
    planned: int
    """Images of the baseline."""

    @property
    def line(self) -> str:
        """In words."""
        return f"decided after {self.n:,} of {self.planned:,} images"


class Ending:
    """Watches the attacks of one protocol: called after each batch, it says whether to end them."""

    def __init__(self, model: ExportedModel, side: Side, limits: Limits, family: int) -> None:
        """Prepare.

        Args:
            model: the new one.
            side: the baseline of the protocol.
            limits: of the check.
            family: number of rows of all protocols that are tested.
        """
        self.model, self.side, self.limits, self.family = model, side, limits, family
        self.ended: Ended | None = None
        self.failing: frozenset[str] = frozenset()
        """Names of the rows that would fail on all images."""

    def __call__(self, evaluation: Evaluation, done: int) -> bool:
        """Whether the first images of a random order decide what all of them would show."""
        n = len(evaluation.indices)
        grid = [(o.attack, o.targeted, o.epsilon) for o in evaluation.outcomes]
        if done >= n or grid != list(self.side.whole.protocol.grid()):
            return False
        part = evaluation.at(np.argsort(evaluation.indices[:done]))
        manifest = self.model.manifest
        new = so_far(self.side.whole, part, manifest)
        after = {v.name: v for _, v in figures([replace(self.side, before=new, after=new)])}
        blank = msgspec.structs.replace(self.side.whole, model=new.model)
        before = [old for old, _ in figures([replace(self.side, after=blank)]) if can_drop(old)]
        order, first = _ranks(evaluation.indices), _ranks(evaluation.indices[:done])
        rows = [
            Row(old.values.astype(np.int64)[order], old.steps, self.limits.tolerance(old.name))
            for old in before
        ]
        seen = [after[old.name].values.astype(np.int64)[first] for old in before]
        rule = Stopping(rows, self.limits.alpha, self.family)
        failing = {old.name for old, fails in zip(before, rule.failing(seen), strict=True) if fails}
        if failing or rule.passing(seen):
            decision = "failed" if failing else "passed"
            self.failing = frozenset(failing)
            self.ended = Ended(self.side.whole.protocol.name, decision, done, n)
        return self.ended is not None

    def results(self, names: list[str]) -> dict[str, bool | None]:
        """Whether each of these rows failed, as far as it is decided; empty if all images were needed."""
        if self.ended is None:
            return {}
        others = None if self.failing else False
        return {name: True if name in self.failing else others for name in names}


def endings_of(model: ExportedModel, baseline: Report, limits: Limits) -> list[Ending]:
    """One for each protocol of a baseline.

    Raises:
        VivavoceError: the baseline is damaged, or a limit names no row.
    """
    limits.check_patterns(names_of(baseline))
    sides = sides_of(baseline)
    family = sum(can_drop(old) for old, _ in figures(sides))
    return [Ending(model, side, limits, family) for side in sides]


def _ranks(indices: np.ndarray) -> np.ndarray:
    """The place of each of these images among them in the order of the data set, int64 [m]."""
    return np.argsort(np.argsort(indices))
