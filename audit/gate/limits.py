"""The limits of a check."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

import msgspec

from ...errors import VivavoceError


class Limits(msgspec.Struct, frozen=True):
    """How much worse than its baseline a new file may be."""

    max_drop: float = 1.0
    """Points (hundredths) that a row may drop; a larger drop fails if it is also significant."""
    row_drops: tuple[tuple[str, float], ...] = ()
    """The same for rows whose name matches a pattern (`clean`, `fgsm@*`); the last that matches counts."""
    alpha: float = 0.05
    """Probability of any false alarm among the rows."""
    max_latency: float | None = None
    """Largest ratio of times for one image; None: only shown."""
    max_size: float | None = None
    """Largest ratio of file sizes; None: only shown."""

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            VivavoceError: a value is out of its range.
        """
        if not 0 < self.alpha < 1:
            raise VivavoceError(f"alpha must be between 0 and 1, not {self.alpha:g}")
        for drop in (self.max_drop, *(points for _, points in self.row_drops)):
            if not 0 <= drop <= 100:
                raise VivavoceError(f"the largest drop must be 0 to 100 points, not {drop:g}")
        for name in ("max_latency", "max_size"):
            ratio = getattr(self, name)
            if ratio is not None and not ratio > 0:
                raise VivavoceError(f"{name.replace('_', ' ')} must be a ratio above 0, not {ratio:g}")

    def tolerance(self, row: str) -> float:
        """Points that the row of this name may drop."""
        points = self.max_drop
        for pattern, own in self.row_drops:
            if _matches(row, pattern):
                points = own
        return points

    def check_patterns(self, rows: Iterable[str]) -> None:
        """Refuse a pattern that no row matches.

        Raises:
            VivavoceError: one does not; the message lists the rows.
        """
        names = list(rows)
        for pattern, _ in self.row_drops:
            if not any(_matches(name, pattern) for name in names):
                raise VivavoceError(f"no row matches {pattern!r}; the rows are {', '.join(names)}")


def _matches(row: str, pattern: str) -> bool:
    """Whether a pattern matches the name of a row, with its protocol (`quick:pgd@1/255`) or without."""
    return fnmatchcase(row, pattern) or fnmatchcase(row.rpartition(":")[2], pattern)


def read_limits(
    drops: Iterable[str], alpha: float, max_latency: float | None, max_size: float | None
) -> Limits:
    """Limits from the command line: `1.0` for all rows, `fgsm@*=3` for single ones.

    Raises:
        VivavoceError: a drop is not a number, or a value is out of its range.
    """
    general, rows = 1.0, []
    for text in drops:
        pattern, _, number = text.rpartition("=")
        try:
            points = float(number)
        except ValueError:
            raise VivavoceError(
                f"--max-drop must be a number of points or ROW=POINTS, not {text!r}"
            ) from None
        if pattern:
            rows.append((pattern, points))
        else:
            general = points
    return Limits(general, tuple(rows), alpha, max_latency, max_size)
