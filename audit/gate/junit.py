"""A check as JUnit XML: one test case per row, per change and per cost."""

from __future__ import annotations

from xml.etree import ElementTree as Tree

from .comparison import Comparison, Pair
from .table import words

UNPRINTABLE = {code: None for code in range(32) if chr(code) not in "\t\n\r"}
"""Characters that XML cannot hold."""


def junit(comparison: Comparison) -> str:
    """The comparison as a JUnit report, for any service that draws test results."""
    cases = [_row(row) for row in comparison.rows]
    cases += [_case(c.name, "diagnosis", c.result == "failed", c.meaning) for c in comparison.changes]
    cases += [_case(r.name, "cost", r.failed, r.told) for r in comparison.ratios]
    failed = str(sum(case.find("failure") is not None for case in cases))
    counts = {"tests": str(len(cases)), "failures": failed, "errors": "0", "time": "0"}
    whole = Tree.Element("testsuites", {"name": "vivavoce audit check", **counts})
    suite = Tree.SubElement(whole, "testsuite", {"name": _clean(comparison.after), "skipped": "0", **counts})
    suite.extend(cases)
    Tree.SubElement(suite, "system-out").text = _clean(comparison.summary)
    Tree.indent(whole, " ")
    return Tree.tostring(whole, encoding="unicode", xml_declaration=True) + "\n"


def _row(row: Pair) -> Tree.Element:
    return _case(row.title, "accuracy", row.result == "failed", f"{row.told}: {words(row)}")


def _case(name: str, kind: str, failed: bool, told: str) -> Tree.Element:
    case = Tree.Element("testcase", {"name": _clean(name), "classname": f"vivavoce.{kind}", "time": "0"})
    if failed:
        failure = Tree.SubElement(case, "failure", {"message": _clean(told), "type": "regression"})
        failure.text = _clean(told)
    else:
        Tree.SubElement(case, "system-out").text = _clean(told)
    return case


def _clean(text: str) -> str:
    return text.translate(UNPRINTABLE)
