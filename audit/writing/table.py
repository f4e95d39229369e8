"""A report as a table: on the terminal, as Markdown, as CSV."""

from __future__ import annotations

import csv
import io

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...images.sizes import GREY_LEVELS
from ...text import cell as in_cell
from ...text import markdown as escape
from ...text import plain
from ..protocol import ATTACKS
from ..references import Reference
from ..report import Report, Row
from ..sensitivity import remarks


def columns(report: Report) -> dict[tuple[str, bool], dict[float, Row]]:
    """Rows by attack and whether it was targeted, then by epsilon."""
    table: dict[tuple[str, bool], dict[float, Row]] = {}
    for row in report.rows:
        table.setdefault((row.attack, row.targeted), {})[row.epsilon] = row
    return table


def title(attack: str, targeted: bool) -> str:
    """Name an attack and its aim."""
    many = attack in ATTACKS and ATTACKS[attack].many_targets
    aim = "targeted" if targeted else "multi-targeted" if many else "untargeted"
    return f"{attack.upper() if attack == 'fgsm' else attack}, {aim}"


def titles(report: Report) -> list[str]:
    """Titles of the columns of attacks; in an ensemble a plus stands before those that continue."""
    found = [title(*key) for key in columns(report)]
    return [f"+ {name}" if k and report.protocol.ensemble else name for k, name in enumerate(found)]


def epsilon_titles(report: Report) -> list[str]:
    """Titles of the columns that name the box; its half-width in 255ths where epsilon is in other units."""
    return ["epsilon", "/255"] if _in_other_units(report) else ["epsilon"]


def epsilon_cells(report: Report, epsilon: float) -> list[str]:
    """Cells of those columns for one epsilon of the protocol."""
    cells = [report.protocol.written(epsilon)]
    if _in_other_units(report):
        widest = max(report.protocol.ball(epsilon, report.model.manifest.input).widths)
        cells.append(f"{GREY_LEVELS * widest:.3g}")
    return cells


def _in_other_units(report: Report) -> bool:
    return report.protocol.epsilon_space == "normalized" and report.protocol.norm == "linf"


def cell(row: Row) -> str:
    """Accuracy in percent, followed by a bar and the threshold accuracy if the model has a threshold."""
    text = f"{100 * row.accuracy:.1f}"
    return text if row.threshold_accuracy is None else f"{text} | {100 * row.threshold_accuracy:.1f}"


def heading(report: Report) -> list[str]:
    """Lines that name the model and the data."""
    manifest, clean = report.model.manifest, report.clean
    kind = f"{manifest.label.kind} labels" if manifest.label else "logits"
    lines = [
        f"{report.model.file}: {len(manifest.classes)} classes, {kind}",
        f"{report.data.name}: {report.data.n} images ({report.data.sample}); {report.data.matching}",
    ]
    rule = "nearest-neighbour" if clean.nearest is not None else "arg-max"
    low, high = clean.interval
    accuracy = f"clean accuracy {clean.accuracy:.1%} ({rule}, 95 % interval {low:.1%} to {high:.1%})"
    if clean.threshold is not None:
        accuracy += f", within the threshold {clean.threshold:.1%}"
    return [*lines, accuracy]


def _compared(reference: Reference) -> str:
    """A reference's figure in words."""
    if reference.accuracy is None:
        size = "none found" if reference.median_size is None else f"median size {reference.median_size:.4f}"
        return f"{size} ({reference.n} images)"
    return f"accuracy {reference.accuracy:.1%} ({reference.n} images)"


def legend(report: Report) -> str:
    """What the cells hold."""
    parts = "nearest-neighbour | threshold accuracy" if report.clean.threshold is not None else "accuracy"
    protocol = report.protocol
    units = f"{protocol.epsilon_space} units" if protocol.norm == "linf" else protocol.units
    if _in_other_units(report):
        units += ", /255 its largest half-width in pixels"
    order = "; +: after the attacks before it, on the images that survived them"
    cumulative = order if report.protocol.ensemble and len(columns(report)) > 1 else ""
    return f"cells: {parts}, % of all images; epsilon in {units}{cumulative}"


def show(report: Report, console: Console) -> None:
    """Print the report."""
    for line in heading(report):
        console.print(line)
    by_attack = columns(report)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in epsilon_titles(report):
        table.add_column(name, justify="right")
    for name in titles(report):
        attack, aim = name.rsplit(", ", 1)
        table.add_column(Text(f"{plain(attack)}\n{aim}"), justify="right")
    for epsilon in report.protocol.epsilons:
        cells = (cell(rows[epsilon]) for rows in by_attack.values())
        table.add_row(*epsilon_cells(report, epsilon), *cells)
    console.print(table)
    console.print(legend(report), style="dim")
    for remark in remarks(report):
        console.print(remark)
    fine = sum(check.level == "fine" for check in report.diagnosis)
    console.print(
        Text.assemble(("fine", "green"), f" {fine} of {len(report.diagnosis)} checks of the attacks")
    )
    for check in (c for c in report.diagnosis if c.level != "fine"):
        colour = "red" if check.level == "masked" else "yellow"
        line = plain(f"{check.name}: {check.meaning}")
        console.print(Text.assemble((check.level, colour), f" {line}"))
    for reference in report.references:
        console.print(f"  {reference.name}: {_compared(reference)}")
    if report.environment.when is not None:
        console.print(report.environment.when, style="dim")
    for note in report.notes:
        console.print(f"note: {note}", style="dim")
    console.print(report.verdict, style="bold")


def markdown(report: Report) -> str:
    """The report as a Markdown section."""
    by_attack = columns(report)
    lines = [
        f"## {escape(report.model.file)}",
        "",
        *(f"- {escape(line)}" for line in [*heading(report)[1:], *remarks(report)]),
        f"- {escape(report.verdict)}",
        *([f"- {escape(report.environment.when)}"] if report.environment.when else []),
        "",
    ]
    cells = [*epsilon_titles(report), *map(escape, titles(report))]
    lines += ["| " + " | ".join(cells) + " |", "|" + "---:|" * len(cells)]
    for epsilon in report.protocol.epsilons:
        figures = (cell(rows[epsilon]).replace(" | ", " / ") for rows in by_attack.values())
        row = [*epsilon_cells(report, epsilon), *figures]
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join([*lines, "", legend(report).replace(" | ", " / ")]) + "\n"


def comma_separated(report: Report) -> str:
    """One line per attack and epsilon, with every figure of its row; one number in a cell."""
    left_out = {"survivors", "survivors_threshold"}
    lines = []
    for row in report.rows:
        line: dict[str, object] = {}
        for name, value in msgspec.structs.asdict(row).items():
            if isinstance(value, tuple):
                parts = ("low", "high") if name == "interval" else map(str, range(1, len(value) + 1))
                line |= {f"{name}_{part}": x for part, x in zip(parts, value, strict=True)}
            elif name not in left_out:
                line[name] = in_cell(value)
        lines.append(line)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(lines[0]) if lines else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()
