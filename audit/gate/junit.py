"""A check as JUnit XML: one test case per row, per change and per cost."""

from __future__ import annotations

from ..junit import case, document, suite
from ..report import Report
from .comparison import Comparison
from .matching import seconds_of
from .table import words


def junit(comparison: Comparison, after: Report) -> str:
    """The comparison as a JUnit report. A row took as long as its attack on the new model."""
    took = seconds_of(after)
    cases = []
    for row in comparison.rows:
        line = f"{row.line}: {words(row)}"
        cases.append(case(row.title, "accuracy", line, _failure(row.result), took.get(row.name, 0)))
    for change in comparison.changes:
        cases.append(case(change.name, "diagnosis", change.meaning, _failure(change.result)))
    for ratio in comparison.ratios:
        cases.append(case(ratio.name, "cost", ratio.line, "regression" if ratio.failed else None))
    spent = [part.environment.seconds for part in after.parts]
    whole = None if None in spent else sum(s for s in spent if s)
    date = after.parts[-1].environment.date
    made = suite(comparison.after, cases, comparison.summary, whole, date)
    return document("vivavoce audit check", [made])


def _failure(result: str) -> str | None:
    return "regression" if result == "failed" else None
