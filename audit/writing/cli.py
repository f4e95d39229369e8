"""`audit show`: a finished report, or two, without the model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...console import Losses, say, showing, terminal


def show(
    reports: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="REPORT...", help="A report.json, or two to compare. Default: the newest that was kept."
        ),
    ] = None,
    output: Annotated[
        list[str] | None,
        typer.Option(
            "--output",
            "-o",
            help="Write it; may repeat: .html .md .csv .xml (JUnit) .sarif .json .png .svg .pdf.",
        ),
    ] = None,
) -> None:
    """Show a finished report as a table, picture or page, without the model; or compare two reports.

    Example: audit show report.json -o report.html -o curves.png

    Example: audit show yesterday.json today.json
    """
    from ...errors import VivavoceError
    from ..kept import newest
    from ..report import load_report

    if not reports:
        reports = [newest()]
        say(f"showing {reports[0]}", err=True)
    if len(reports) > 2:
        raise VivavoceError(f"{len(reports)} reports; give one, or two to compare")
    if len(reports) == 2:
        _compare(reports[0], reports[1], output or [])
        return
    from .outputs import Finished, check_outputs, write_outputs
    from .table import show_all

    paths = [Path(name) for name in output or []]
    check_outputs(paths)
    report = load_report(reports[0])
    if any(path.resolve() == reports[0].resolve() for path in paths):
        raise VivavoceError(f"{reports[0]}: is the report itself; give a different --output")
    losses = Losses()
    with losses.noting(), showing():
        show_all(report.parts, terminal())
    write_outputs(Finished(report), paths, losses)
    losses.end()


def _compare(before: Path, after: Path, output: list[str]) -> None:
    from ...errors import naming
    from ..gate.comparison import compare_reports
    from ..gate.outputs import Compared, check_outputs, write_outputs
    from ..gate.table import show as show_comparison
    from ..report import load_report

    check_outputs(output, gate=False)
    first, second = load_report(before), load_report(after)
    with naming(after):
        comparison = compare_reports(first, second, gate=False)
    losses = Losses()
    with losses.noting(), showing():
        show_comparison(comparison, terminal())
    write_outputs(Compared(comparison, first, second, after.name), output, losses)
    losses.end()
