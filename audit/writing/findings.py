"""One audit as test results (JUnit) and as findings (SARIF): its attacks and its diagnosis."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from .. import junit as xml
from .. import sarif as log
from ..report import Report
from .table import row_title

RULES = {
    "untrusted-robustness": "The attacks of this audit may be misled, or too weak; see the diagnosis.",
    "masked-gradient": "The model hides its gradient from attacks, so its robust accuracy is not real.",
}


def junit(report: Report) -> str:
    """A suite for every protocol, with a case for every attack and every check of the diagnosis.

    The case of a check fails if the check is not fine.
    """
    return xml.document("vivavoce audit robustness", [_suite(*each) for each in _labelled(report)])


def _suite(label: str, report: Report) -> Element:
    cases = [
        xml.case(
            label + row_title(row, report.protocol),
            "accuracy",
            f"accuracy {row.accuracy:.1%} (95 % interval {row.interval[0]:.1%} to {row.interval[1]:.1%})",
            seconds=row.seconds,
        )
        for row in report.rows
    ]
    cases += [
        xml.case(
            label + check.name, "diagnosis", check.meaning, None if check.level == "fine" else check.level
        )
        for check in report.diagnosis
    ]
    environment = report.environment
    return xml.suite(label + report.model.file, cases, report.verdict, environment.seconds, environment.date)


def sarif(report: Report) -> str:
    """A finding for every check of the diagnosis that is not fine."""
    found = []
    for label, part in _labelled(report):
        for check in part.diagnosis:
            masked = check.level == "masked"
            if check.level != "fine":
                found.append(
                    log.Finding(
                        "masked-gradient" if masked else "untrusted-robustness",
                        label + check.name,
                        f"{label}{check.name}: {check.meaning}",
                        report.model.file,
                        "error" if masked else "warning",
                    )
                )
    return log.document(found, RULES)


def _labelled(report: Report) -> list[tuple[str, Report]]:
    """The report of each protocol after its name, which is empty where there is only one."""
    several = len(report.parts) > 1
    return [(f"{part.protocol.name}: " if several else "", part) for part in report.parts]
