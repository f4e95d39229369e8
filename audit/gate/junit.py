"""A check as JUnit XML: one test case per row, per change and per cost."""

from __future__ import annotations

from xml.etree import ElementTree as Tree

from ...text import plain
from .comparison import Comparison, Pair
from .table import words


def junit(comparison: Comparison) -> str:
    """The comparison as a JUnit report, for any service that draws test results."""
    cases = [_row(row) for row in comparison.rows]
    cases += [_case(c.name, "diagnosis", c.result == "failed", c.meaning) for c in comparison.changes]
    cases += [_case(r.name, "cost", r.failed, r.line) for r in comparison.ratios]
    failed = str(sum(case.find("failure") is not None for case in cases))
    counts = {"tests": str(len(cases)), "failures": failed, "errors": "0", "time": "0"}
    whole = Tree.Element("testsuites", {"name": "vivavoce audit check", **counts})
    suite = Tree.SubElement(whole, "testsuite", {"name": plain(comparison.after), "skipped": "0", **counts})
    suite.extend(cases)
    Tree.SubElement(suite, "system-out").text = plain(comparison.summary)
    Tree.indent(whole, " ")
    return Tree.tostring(whole, encoding="unicode", xml_declaration=True) + "\n"


def _row(row: Pair) -> Tree.Element:
    return _case(row.title, "accuracy", row.result == "failed", f"{row.line}: {words(row)}")


def _case(name: str, kind: str, failed: bool, told: str) -> Tree.Element:
    case = Tree.Element("testcase", {"name": plain(name), "classname": f"vivavoce.{kind}", "time": "0"})
    if failed:
        failure = Tree.SubElement(case, "failure", {"message": plain(told), "type": "regression"})
        failure.text = plain(told)
    else:
        Tree.SubElement(case, "system-out").text = plain(told)
    return case
