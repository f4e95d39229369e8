"""JUnit XML, for any service that draws test results."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as Tree

from ..text import plain


def case(name: str, kind: str, line: str, failure: str | None = None, seconds: float = 0) -> Tree.Element:
    """A test case.

    Args:
        name: what was tested.
        kind: its group.
        line: what was found.
        failure: the kind of failure; None: it passed.
        seconds: how long it took.
    """
    attributes = {"name": plain(name), "classname": f"vivavoce.{kind}", "time": f"{seconds:.3f}"}
    found = Tree.Element("testcase", attributes)
    if failure is None:
        Tree.SubElement(found, "system-out").text = plain(line)
    else:
        Tree.SubElement(found, "failure", {"message": plain(line), "type": failure}).text = plain(line)
    return found


def suite(
    name: str, cases: Sequence[Tree.Element], summary: str, seconds: float | None, date: str | None
) -> Tree.Element:
    """Cases that belong together.

    Args:
        name: what was tested.
        cases: from `case`.
        summary: one sentence.
        seconds: how long everything took; None: as long as the cases.
        date: when, ISO 8601.
    """
    failed = sum(one.find("failure") is not None for one in cases)
    total = sum(float(one.get("time", "0")) for one in cases) if seconds is None else seconds
    counts = {"tests": str(len(cases)), "failures": str(failed), "errors": "0", "time": f"{total:.3f}"}
    when = {} if date is None else {"timestamp": date}
    found = Tree.Element("testsuite", {"name": plain(name), "skipped": "0", **counts, **when})
    found.extend(cases)
    Tree.SubElement(found, "system-out").text = plain(summary)
    return found


def document(command: str, suites: Sequence[Tree.Element]) -> str:
    """The suites as a file.

    Args:
        command: what tested.
        suites: from `suite`.
    """
    counts = {name: sum(int(one.get(name, "0")) for one in suites) for name in ("tests", "failures")}
    total = sum(float(one.get("time", "0")) for one in suites)
    attributes = {name: str(count) for name, count in counts.items()} | {
        "errors": "0",
        "time": f"{total:.3f}",
    }
    whole = Tree.Element("testsuites", {"name": command, **attributes})
    whole.extend(suites)
    Tree.indent(whole, " ")
    return Tree.tostring(whole, encoding="unicode", xml_declaration=True) + "\n"
