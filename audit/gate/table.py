"""A comparison as a table: on the terminal, as plain text, Markdown or CSV."""

from __future__ import annotations

import csv
import io

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...terminal import PlainConsole
from ...text import cell as in_cell
from ...text import markdown as escape
from ...text import plain
from .comparison import Comparison
from .rows import Pair

COLOURS = {
    "failed": "bold red", "lower": "red", "unproven": "yellow", "undecided": "yellow",
    "improved": "green", "higher": "green", "warning": "yellow", "better": "green",
}  # fmt: skip
WIDTH = 120
"""Columns where there is no terminal: a log is scrolled, not wrapped."""


def words(row: Pair) -> str:
    """What a row's result means."""
    if row.result == "tolerated":
        return f"within {row.tolerance:g}"
    return "chance?" if row.result == "unproven" else row.result


def heading(comparison: Comparison) -> list[str]:
    """Lines that name the two models and the data."""
    lines = [f"{comparison.after} against {comparison.before} on {comparison.n} images of {comparison.data}"]
    same = round(comparison.agreement * comparison.n)
    agreement = f"{comparison.agreement:.1%} ({same} of {comparison.n})"
    return [*lines, f"decisions on clean images that agree: {agreement}"]


def footing(comparison: Comparison) -> list[str]:
    """Costs, and the resolution of the comparison."""
    test = "one-sided" if comparison.gate else "two-sided"
    how = f"p: exact {test} McNemar test, corrected over {len(comparison.rows)} rows by Holm"
    if comparison.ended:
        how += "; where the attacks ended early, of the images so far"
    return [*(ratio.line for ratio in comparison.ratios), how, comparison.resolution]


def cells(row: Pair) -> tuple[str, ...]:
    """A row's figures: before, after, points, lost, gained, p."""
    figures = (f"{100 * row.before:.1f}", f"{100 * row.after:.1f}", f"{row.points:+.1f}")
    return (*figures, f"{row.lost:d}", f"{row.gained:d}", f"{row.p:.2g}")


def show(comparison: Comparison, console: Console) -> None:
    """Print the comparison, with the verdict last and in colour."""
    if not console.is_terminal:
        console.width = max(console.width, WIDTH)
    for line in heading(comparison):
        console.print(line)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("row", no_wrap=True)
    for name in ("before", "after", "points", "lost", "gained", "p"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    above = ""
    for row in comparison.rows:
        start, _, part = row.name.rpartition("/")
        name = f"  /{part}" if start and start == above else row.name
        above = above if start and start == above else row.name
        table.add_row(name, *cells(row), words(row), style=COLOURS.get(row.result))
    console.print(table)
    for change in comparison.changes:
        line = plain(f"{change.name}, {change.before} to {change.after}: {change.meaning}")
        console.print(Text.assemble((change.result, COLOURS[change.result]), f" {line}"))
    for line in footing(comparison):
        console.print(line, style="dim")
    style = "bold" if comparison.passed or not comparison.gate else "bold red"
    console.print(comparison.summary, style=style)


def text(comparison: Comparison) -> str:
    """The same as plain text, for a message."""
    file = io.StringIO()
    show(comparison, PlainConsole(file=file, width=WIDTH, color_system=None, soft_wrap=True))
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def markdown(comparison: Comparison) -> str:
    """The comparison as a Markdown section, as for a job's summary."""
    mark = "" if not comparison.gate else "✅ " if comparison.passed else "❌ "
    names = ["row", "before, %", "after, %", "points", "lost", "gained", "p", ""]
    lines = [f"## {mark}{escape(comparison.after)}", "", f"**{escape(comparison.summary)}**", ""]
    lines += [f"- {escape(line)}" for line in heading(comparison)]
    for change in comparison.changes:
        line = f"{change.result}: {change.name}, {change.before} to {change.after}: {change.meaning}"
        lines.append(f"- {escape(line)}")
    lines += ["", "| " + " | ".join(names) + " |", "|---|" + "---:|" * 6 + "---|"]
    for row in comparison.rows:
        result = words(row)
        told = f"**{result}**" if row.result in ("failed", "lower") else result
        lines.append("| " + " | ".join([escape(row.title), *cells(row), told]) + " |")
    return "\n".join([*lines, "", *(f"- {escape(line)}" for line in footing(comparison))]) + "\n"


def comma_separated(comparison: Comparison) -> str:
    """One line per row."""
    file = io.StringIO()
    names = ("name", "protocol", "before", "after", "lost", "gained", "p", "tolerance", "result")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(names)
    for row in comparison.rows:
        writer.writerow([in_cell(getattr(row, name)) for name in names])
    return file.getvalue()
