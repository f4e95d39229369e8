"""A report as a table: on the terminal, as Markdown, as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...images.sizes import GREY_LEVELS
from ...text import cell as in_cell
from ...text import markdown as escape
from ...text import plain
from ..attacks.catalogue import ATTACKS
from ..customs import COUNTED
from ..natural.heat import lines
from ..protocol import Protocol, severities_of
from ..references import Reference
from ..report import Report, Row
from ..sensitivity import remarks
from . import heat


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


def row_title(row: Row, protocol: Protocol) -> str:
    """Name a row: attack, aim and epsilon, or the kind of a change and its severity."""
    if protocol.natural:
        only = severities_of(row.attack) == (1,)
        return row.attack if only else f"{row.attack}, {protocol.in_words(row.epsilon)}"
    return f"{title(row.attack, row.targeted)}, {protocol.in_words(row.epsilon)}"


def titles(report: Report) -> list[str]:
    """Titles of the columns of attacks; in an ensemble a plus stands before those that continue."""
    found = [title(*key) for key in columns(report)]
    return [f"+ {name}" if k and report.protocol.ensemble else name for k, name in enumerate(found)]


def epsilon_titles(report: Report) -> list[str]:
    """Titles of the columns that name the box; its half-width in 255ths where epsilon is in other units."""
    counted = {"l0": "pixels", "patch": "patch"}.get(report.protocol.norm)
    return [counted] if counted else ["epsilon", "/255"] if _in_other_units(report) else ["epsilon"]


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
    if report.protocol.natural:
        return heat.LEGEND
    parts = "nearest-neighbour | threshold accuracy" if report.clean.threshold is not None else "accuracy"
    protocol = report.protocol
    units = f"epsilon in {protocol.epsilon_space} units"
    if protocol.norm in COUNTED:
        units = f"{epsilon_titles(report)[0]}: {COUNTED[protocol.norm]}"
    if _in_other_units(report):
        units += ", /255 its largest half-width in pixels"
    order = "; +: after the attacks before it, on the images that survived them"
    cumulative = order if report.protocol.ensemble and len(columns(report)) > 1 else ""
    return f"cells: {parts}, % of all images; {units}{cumulative}"


def show_all(reports: Sequence[Report], console: Console) -> None:
    """Print the reports of one model, each under the name of its protocol if there are several."""
    for k, report in enumerate(reports):
        if k:
            console.print()
        if len(reports) > 1:
            console.print(f"protocol {report.protocol.name}", style="bold underline")
        show(report, console)


def show(report: Report, console: Console) -> None:
    """Print the report."""
    for line in heading(report):
        console.print(line)
    if not heat.only_shift(report):
        console.print(heat.table(report) if report.protocol.natural else _by_epsilon(report))
        console.print(legend(report), style="dim")
    for remark in remarks(report):
        console.print(remark)
    _show_checks(report, console)
    for reference in report.references:
        console.print(f"  {reference.name}: {_compared(reference)}")
    if report.environment.when is not None:
        console.print(report.environment.when, style="dim")
    for note in report.notes:
        console.print(f"note: {note}", style="dim")
    console.print(report.verdict, style="bold")


def _by_epsilon(report: Report) -> Table:
    """A line for each epsilon, a column for each attack."""
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
    return table


def _show_checks(report: Report, console: Console) -> None:
    fine = sum(check.level == "fine" for check in report.diagnosis)
    of = "model's answers" if report.protocol.natural else "attacks"
    console.print(Text.assemble(("fine", "green"), f" {fine} of {len(report.diagnosis)} checks of the {of}"))
    for check in (c for c in report.diagnosis if c.level != "fine"):
        colour = "red" if check.level == "masked" else "yellow"
        line = plain(f"{check.name}: {check.meaning}")
        console.print(Text.assemble((check.level, colour), f" {line}"))


def markdown(report: Report) -> str:
    """The report as Markdown: a section for each protocol."""
    several = len(report.parts) > 1
    return "\n".join(_section(part, f", {part.protocol.name}" if several else "") for part in report.parts)


def _section(report: Report, name: str) -> str:
    text = [
        f"## {escape(report.model.file + name)}",
        "",
        *(f"- {escape(line)}" for line in [*heading(report)[1:], *remarks(report)]),
        f"- {escape(report.verdict)}",
        *([f"- {escape(report.environment.when)}"] if report.environment.when else []),
        "",
    ]
    if heat.only_shift(report):
        return "\n".join(text)
    for k, cells in enumerate(_heat_cells(report) if report.protocol.natural else _epsilon_cells(report)):
        text.append("| " + " | ".join(cells) + " |")
        if k == 0:
            text.append("|" + ("---|" if report.protocol.natural else "---:|") + "---:|" * (len(cells) - 1))
    return "\n".join([*text, "", legend(report).replace(" | ", " / ")]) + "\n"


def _epsilon_cells(report: Report) -> Iterator[list[str]]:
    """The cells of the Markdown table, the heading first."""
    by_attack = columns(report)
    yield [*epsilon_titles(report), *map(escape, titles(report))]
    for epsilon in report.protocol.epsilons:
        figures = (cell(rows[epsilon]).replace(" | ", " / ") for rows in by_attack.values())
        yield [*epsilon_cells(report, epsilon), *figures]


def _heat_cells(report: Report) -> Iterator[list[str]]:
    """The same for changes without an adversary."""
    yield ["change", *map(str, heat.severities(report)), "mean"]
    for line in lines(report.rows):
        yield [escape(line.kind), *heat.figures(report, line), f"{100 * line.mean:.1f}"]


def comma_separated(report: Report) -> str:
    """One line per protocol, attack and epsilon, with every figure of its row; one number in a cell."""
    left_out = {"survivors", "survivors_threshold"}
    written = []
    for protocol, row in ((part.protocol.name, row) for part in report.parts for row in part.rows):
        line: dict[str, object] = {"protocol": in_cell(protocol)}
        for name, value in msgspec.structs.asdict(row).items():
            if isinstance(value, tuple):
                parts = ("low", "high") if name == "interval" else map(str, range(1, len(value) + 1))
                line |= {f"{name}_{part}": x for part, x in zip(parts, value, strict=True)}
            elif name not in left_out:
                line[name] = in_cell(value)
        written.append(line)
    text = io.StringIO()
    names = dict.fromkeys(name for line in written for name in line)
    writer = csv.DictWriter(text, list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows(written)
    return text.getvalue()
