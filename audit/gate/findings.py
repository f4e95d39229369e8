"""What failed, in the formats of code hosts: SARIF 2.1.0, GitLab's code quality, GitHub's annotations."""

from __future__ import annotations

import json
from collections.abc import Iterator

from ...text import encodable, plain
from ..sarif import Finding, document
from .comparison import Comparison

RULES = {
    "accuracy-regression": "A figure dropped by more than its tolerance, and that is not chance.",
    "masked-gradient": "The new file hides its gradient from attacks, or its labels or threshold changed.",
    "cost-regression": "The new file is larger or slower than allowed.",
}
MOST_ANNOTATIONS = 10
"""GitHub shows ten errors of a step."""


def findings(comparison: Comparison, where: str) -> Iterator[Finding]:
    """Everything that failed."""
    for row in comparison.rows:
        if row.result == "failed":
            yield Finding("accuracy-regression", row.name, row.line, where)
    for change in comparison.changes:
        if change.result == "failed":
            yield Finding("masked-gradient", change.name, f"{change.name}: {change.meaning}", where)
    for ratio in comparison.ratios:
        if ratio.failed:
            yield Finding("cost-regression", ratio.name, ratio.line, where)


def sarif(comparison: Comparison, where: str) -> str:
    """The findings as SARIF 2.1.0, for code scanning."""
    return document(findings(comparison, where), RULES)


def code_quality(comparison: Comparison, where: str) -> str:
    """The findings as GitLab's code-quality JSON."""
    found = [
        {
            "description": plain(finding.message),
            "check_name": f"vivavoce/{finding.rule}",
            "fingerprint": finding.fingerprint,
            "severity": "major",
            "location": {"path": encodable(finding.where), "lines": {"begin": 1}},
        }
        for finding in findings(comparison, where)
    ]
    return json.dumps(found, indent=1) + "\n"


def github_annotations(comparison: Comparison, where: str) -> list[str]:
    """Workflow commands that put the findings on a GitHub pull request; one notice where all is well."""
    found = list(findings(comparison, where))
    shown = found[: MOST_ANNOTATIONS - 1] if len(found) > MOST_ANNOTATIONS else found
    lines = [_command("error", f.where, f.message) for f in shown]
    if len(shown) < len(found):
        lines.append(_command("error", where, f"and {len(found) - len(shown)} more; see the log"))
    return lines or [_command("notice", where, comparison.summary)]


def _command(kind: str, where: str, message: str) -> str:
    place = _escaped(where).replace(":", "%3A").replace(",", "%2C")
    return f"::{kind} file={place},title=vivavoce audit check::{_escaped(message)}"


def _escaped(text: str) -> str:
    """One line; of what runners read, `plain` leaves only the per cent sign."""
    return plain(text).replace("%", "%25")
