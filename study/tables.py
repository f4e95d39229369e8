"""A study's table: accuracy, accuracy under attack, and what learned labels save."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..audit.report import Report, Row
from ..errors import VivavoceError
from ..text import cell as in_cell
from ..text import markdown as escape
from .cell import level_name
from .labelled import distrusted, epochs_to, measured, speed
from .learned import learned_tables
from .records import Record, Records, grouped
from .writing import head, line, model

FORMATS = (".md", ".csv")


def check_format(path: Path) -> None:
    """Refuse a file that no table can be written to.

    Raises:
        VivavoceError: its suffix is unknown.
    """
    if path.suffix not in FORMATS:
        raise VivavoceError(f"{path}: tables are {' or '.join(FORMATS)}")


def markdown(records: Records) -> str:
    """Every table that the study's finished cells have figures for, as Markdown.

    Raises:
        VivavoceError: no cell is finished.
    """
    finished = records.finished
    if not finished:
        raise VivavoceError(f"{records.folder}: no cell of this study is finished yet")
    parts = [f"# {escape(records.plan.title)}", _about(records)]
    labelled = [record for record in finished if record.cell.label]
    if labelled:
        parts += ["## Test accuracy, %", accuracies(labelled)]
    for name in dict.fromkeys(audit.name or audit.protocol for audit in records.plan.audit):
        audited = [record for record in finished if name in record.reports]
        if audited:
            parts += [f"## Accuracy under attack, %: {escape(name)}", attacked(audited, name)]
    if labelled and records.plan.reach:
        parts += ["## Epochs until a validation accuracy is reached", speed(labelled, records.plan.reach)]
    if labelled and (labels := measured(labelled)):
        parts += ["## Labels", labels]
    if records.plan.grid.method:
        parts += learned_tables(finished)
    if reasons := distrusted(finished):
        parts += ["## Runs not to compare", f"The figures above include these runs.\n\n{reasons}"]
    return "\n\n".join(parts) + "\n"


def _about(records: Records) -> str:
    plan, cells = records.plan, records.records
    machines = sorted({record.result.machine for record in records.finished if record.result})
    failed = [record for record in cells if not record.result and record.failure]
    lines = [
        f"Budget {plan.budget}, recipe {plan.recipe}; {len(records.finished)} of {len(cells)} cells "
        f"finished, on {'; '.join(machines)}. Mean ± standard deviation over seeds."
    ]
    lines += [escape(f"- failed: {r.cell.name}: {r.failure.reason}") for r in failed if r.failure]
    return "\n".join(lines)


def accuracies(records: Sequence[Record]) -> str:
    """Test accuracy by nearest neighbour or arg-max, and behind a slash within the threshold.

    A row a label, data set and encoder; a column an amount of data.
    """
    levels = sorted({r.cell.level for r in records}, reverse=True)
    lines = head(["data set", "encoder", "label", *(level_name(level) for level in levels)])
    for names, group in grouped(records, lambda r: model(r)[:3]):
        cells = [_accuracy([r for r in group if r.cell.level == level]) for level in levels]
        lines.append(line([*names, *cells]))
    return "\n".join(lines)


def _accuracy(records: Sequence[Record]) -> str:
    found = [record.result.accuracy for record in records if record.result]
    near = [accuracy["test_threshold"] for accuracy in found if "test_threshold" in accuracy]
    return spread([a["test"] for a in found]) + (f" / {spread(near)}" if near else "")


def attacked(records: Sequence[Record], name: str) -> str:
    """Accuracy under each attack of one audit: by decoding, and behind a slash within the threshold.

    A row a model kind and an attack; a column an epsilon.
    """
    first = records[0].reports[name]
    epsilons = sorted({row.epsilon for record in records for row in record.reports[name].rows})
    space = f"epsilon ({first.protocol.norm}, {first.protocol.epsilon_space})"
    lines = head(["data set", "encoder", "label", "data", "attack", *(f"{e:.3g}" for e in epsilons), "n"])
    for names, group in grouped(records, model):
        reports = [record.reports[name] for record in group]
        rows = dict.fromkeys((row.attack, row.targeted) for report in reports for row in report.rows)
        for attack, targeted in rows:
            cells = [_under(reports, attack, targeted, epsilon) for epsilon in epsilons]
            told = f"{attack}, targeted" if targeted else attack
            lines.append(line([*names, told, *cells, f"{len(group)} x {first.data.n}"]))
    return f"Columns: {space}.\n\n" + "\n".join(lines)


def _under(reports: Iterable[Report], attack: str, targeted: bool, epsilon: float) -> str:
    rows: list[Row] = [
        row for report in reports for row in report.rows
        if (row.attack, row.targeted, row.epsilon) == (attack, targeted, epsilon)
    ]  # fmt: skip
    near = [row.threshold_accuracy for row in rows if row.threshold_accuracy is not None]
    return spread([row.accuracy for row in rows]) + (f" / {spread(near)}" if near else "")


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation of shares, in per cent."""
    if not values:
        return ""
    deviation = f" ± {100 * statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * statistics.fmean(values):.1f}{deviation}"


def table_csv(records: Records) -> str:
    """Every figure of every finished cell, one a line: cell, what it is, value in 0..1."""
    text = io.StringIO()
    axes = ("data", "encoder", "kind", "level", "seed")
    writer = csv.writer(text)
    writer.writerow([*axes, "audit", "attack", "targeted", "epsilon", "figure", "value", "n"])
    for record in records.finished:
        assert record.result is not None
        cell: list[Any] = [in_cell(getattr(record.cell, axis)) for axis in axes]
        for name, value in record.result.accuracy.items():
            writer.writerow([*cell, "", "", "", "", in_cell(name), value, ""])
        for level in records.plan.reach if record.cell.label else ():
            writer.writerow([*cell, "", "", "", "", f"epochs_to_{level:g}", epochs_to(record, level), ""])
        for audit, report in record.reports.items():
            for row in report.rows:
                told = [in_cell(audit), in_cell(row.attack), row.targeted, row.epsilon]
                writer.writerow([*cell, *told, "accuracy", row.accuracy, report.data.n])
                if (near := row.threshold_accuracy) is not None:
                    writer.writerow([*cell, *told, "threshold_accuracy", near, report.data.n])
    return text.getvalue()
