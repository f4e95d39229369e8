"""One audit as test results (JUnit) and as findings (SARIF): its attacks and its diagnosis."""

from __future__ import annotations

from .. import junit as xml
from .. import sarif as log
from ..report import Report
from .table import row_title

RULES = {
    "untrusted-robustness": "The attacks of this audit may be misled, or too weak; see the diagnosis.",
    "masked-gradient": "The model hides its gradient from attacks, so its robust accuracy is not real.",
}


def junit(report: Report) -> str:
    """A case for every attack, and for every check of the diagnosis, which fails if it is not fine."""
    cases = [
        xml.case(
            row_title(row, report.protocol),
            "accuracy",
            f"accuracy {row.accuracy:.1%} (95 % interval {row.interval[0]:.1%} to {row.interval[1]:.1%})",
            seconds=row.seconds,
        )
        for row in report.rows
    ]
    cases += [
        xml.case(check.name, "diagnosis", check.meaning, None if check.level == "fine" else check.level)
        for check in report.diagnosis
    ]
    environment = report.environment
    return xml.document(
        "vivavoce audit robustness",
        report.model.file,
        cases,
        report.verdict,
        environment.seconds,
        environment.date,
    )


def sarif(report: Report) -> str:
    """A finding for every check of the diagnosis that is not fine."""
    found = []
    for check in report.diagnosis:
        masked = check.level == "masked"
        if check.level != "fine":
            found.append(
                log.Finding(
                    "masked-gradient" if masked else "untrusted-robustness",
                    check.name,
                    f"{check.name}: {check.meaning}",
                    report.model.file,
                    "error" if masked else "warning",
                )
            )
    return log.document(found, RULES)
