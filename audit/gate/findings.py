"""What failed, in the formats of code hosts: SARIF 2.1.0, GitLab's code quality, GitHub's annotations."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version

from ...text import encodable, plain
from .comparison import Comparison

RULES = {
    "accuracy-regression": "A figure dropped by more than its tolerance, and that is not chance.",
    "masked-gradient": "The new file hides its gradient from attacks, or its labels or threshold changed.",
    "cost-regression": "The new file is larger or slower than allowed.",
}
MOST_ANNOTATIONS = 10
"""GitHub shows ten errors of a step."""


@dataclass(frozen=True)
class Finding:
    """One thing that failed."""

    rule: str
    name: str
    message: str
    where: str
    """Path of the model, relative to where the command ran."""

    @property
    def fingerprint(self) -> str:
        """The same for the same row of the same file, whatever its figures."""
        whole = encodable(f"{self.rule} {self.where} {self.name}")
        return hashlib.sha256(whole.encode()).hexdigest()


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
    rules = [{"id": name, "shortDescription": {"text": text}} for name, text in RULES.items()]
    results = [
        {
            "ruleId": finding.rule,
            "ruleIndex": list(RULES).index(finding.rule),
            "level": "error",
            "message": {"text": plain(finding.message)},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": _address(finding.where)},
                        "region": {"startLine": 1},
                    }
                }
            ],
            "partialFingerprints": {"vivavoce/v1": finding.fingerprint},
        }
        for finding in findings(comparison, where)
    ]
    driver = {"name": "vivavoce", "version": version("vivavoce"), "rules": rules}
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    log = {"$schema": schema, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}
    return json.dumps(log, indent=1) + "\n"


def _address(path: str) -> str:
    from urllib.parse import quote

    return quote(os.fsencode(path))


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
