"""What transfers between two models, as a table: on the terminal, as Markdown, CSV or JSON."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...console import Losses, say
from ...errors import VivavoceError
from ...files import check_parent, write_whole
from ...text import cell as in_cell
from ...text import markdown as escape
from ...text import plain
from ..writing.table import title
from .table import WIDTH
from .transfer import Passed, Transfer

TITLES = ("examples of", "given to", "attack", "size", "made", "passed", "%")
KINDS = (".json", ".md", ".csv")


def check_outputs(names: list[str]) -> None:
    """Refuse before the work what could not be written after it.

    Raises:
        VivavoceError: an unknown kind, or no such folder.
    """
    for name in names:
        if Path(name).suffix not in KINDS:
            raise VivavoceError(f"{name}: --transfer writes {', '.join(KINDS)}")
        check_parent(Path(name))


def heading(found: Transfer) -> str:
    """A line that names the models and the data."""
    return (
        f"{found.before} and {found.after} on {found.n} images of {found.data}; "
        f"{found.both} are decided correctly by both and count"
    )


def cells(row: Passed) -> tuple[str, ...]:
    """A row's cells."""
    low, high = row.interval
    share = "" if row.share is None else f"{row.share:.1%} ({low:.1%} to {high:.1%})"
    attack = title(row.attack, row.targeted)
    return row.source, row.other, attack, row.size, f"{row.made}", f"{row.passed}", share


def show(found: Transfer, console: Console) -> None:
    """Print the table, and the summary last."""
    if not console.is_terminal:
        console.width = max(console.width, WIDTH)
    console.print(plain(heading(found)))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for k, name in enumerate(TITLES):
        table.add_column(name, justify="left" if k < 4 else "right")
    for row in found.rows:
        table.add_row(*(Text(plain(text)) for text in cells(row)))
    console.print(table)
    console.print("made: examples that fool the first; passed: those that fool the second too", style="dim")
    console.print(plain(found.summary), style="bold")


def markdown(found: Transfer) -> str:
    """The result as Markdown."""
    lines = [f"- {escape(heading(found))}", f"- {escape(found.summary)}", ""]
    lines += ["| " + " | ".join(TITLES) + " |", "|---|---|---|---|---:|---:|---:|"]
    lines += ["| " + " | ".join(escape(text) for text in cells(row)) + " |" for row in found.rows]
    return "\n".join(lines) + "\n"


def comma_separated(found: Transfer) -> str:
    """One line per row."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = ("source", "other", "attack", "targeted", "size", "made", "passed", "share", "low", "high")
    writer.writerow(columns)
    for row in found.rows:
        figures = (row.made, row.passed, "" if row.share is None else row.share, *row.interval)
        named = (row.source, row.other, row.attack, row.targeted, row.size)
        writer.writerow([in_cell(value) for value in (*named, *figures)])
    return text.getvalue()


def write_outputs(found: Transfer, names: list[str], losses: Losses) -> None:
    """Write the result to every output; note what cannot be written."""
    made = {".json": lambda: found.to_json(), ".md": lambda: markdown(found).encode(),
            ".csv": lambda: comma_separated(found).encode()}  # fmt: skip
    for name in names:
        with losses.noting():
            write_whole(Path(name), made[Path(name).suffix]())
            say(f"wrote {name}", err=True)
