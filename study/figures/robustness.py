"""Accuracy under attack (Chen et al. 2021, figures 3, 6 and 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...audit.report import Report, Row
from ...audit.statistics import wilson
from ...audit.writing.table import columns, title
from ..records import Records
from .panels import headline, legend, shares
from .selection import Group, groups, kinds, name, progress, seeds, unfit
from .style import Look, Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Attack = tuple[str, tuple[str, bool]]
"""Name of the audit; of the attack, and whether it is targeted."""


def draw(records: Records, style: Style, initially: bool = False) -> Figure:
    """Accuracy against epsilon: a column an attack, a row a group of cells, a colour a kind.

    Args:
        records: the study.
        style: light or dark.
        initially: of the images that were right before the attack; else of all.

    Raises:
        VivavoceError: no audit has a curve.
    """
    from matplotlib.figure import Figure

    drawn = groups(records)
    attacks, looks = _attacks(records, drawn), style.looks(kinds(drawn))
    several = len({audit for audit, _ in attacks}) > 1
    figure = Figure((max(6.5, 2.7 * len(attacks) + 0.7), 3.1 * len(drawn) + 0.7))
    panels = figure.subplots(len(drawn), len(attacks), sharex="col", sharey=True, squeeze=False)
    for row, group in zip(panels, drawn, strict=True):
        for axes, attack in zip(row, attacks, strict=True):
            _panel(axes, group, attack, looks, initially)
        row[0].set_ylabel(f"{group.name}\naccuracy" if len(drawn) > 1 else "accuracy")
        shares(row[0])
        row[0].set_ylim(-0.03, 1.03)
    for axes, (audit, key) in zip(panels[0], attacks, strict=True):
        axes.set_title((f"{audit}: " if several else "") + title(*key).replace(", ", "\n"))
    for axes, (audit, _) in zip(panels[-1], attacks, strict=True):
        axes.set_xlabel(_report(drawn, audit).protocol.axis)
    reports = [
        cell.reports[audit]
        for group in drawn for cells in group.kinds.values() for cell in cells
        for audit in dict.fromkeys(audit for audit, _ in attacks) if audit in cell.reports
    ]  # fmt: skip
    _explain(figure, records, drawn, reports, style, initially)
    return figure


def draw_initially_correct(records: Records, style: Style) -> Figure:
    """The same of the images that were right before the attack."""
    return draw(records, style, initially=True)


def _explain(
    figure: Figure, records: Records, drawn: list[Group], reports: list[Report], style: Style, initially: bool
) -> None:
    images = sorted({report.data.n for report in reports})
    many = f"{images[0]:,} images" if len(images) == 1 else f"{images[0]:,} to {images[-1]:,} images"
    entries = list(style.looks(kinds(drawn)).items())
    if any(report.clean.threshold is not None for report in reports):
        entries.append(("threshold, or arg-max of logits", Look(style.muted, "", "-")))
        entries.append(("nearest neighbour", Look(style.muted, "", ":")))
    legend(figure, entries)
    what = f"those of {many} that were right before the attack" if initially else many
    band = "" if "mean" in seeds(drawn) else "band: 95 % Wilson interval"
    notes = [name(drawn), seeds(drawn), band, what, progress(records)]
    headline(figure, "Accuracy under attack", notes, style)


def _attacks(records: Records, drawn: list[Group]) -> list[Attack]:
    """The columns: attacks at several epsilons, those of most kinds first."""
    if not records.plan.audit:
        raise unfit("robustness", records, "this study audits nothing; give its plan an [[audit]] table")
    shown: dict[Attack, set[str]] = {}
    for group in drawn:
        for kind, cells in group.kinds.items():
            for audit, report in cells[0].reports.items():
                for key, rows in columns(report).items():
                    if len(rows) > 1:
                        shown.setdefault((audit, key), set()).add(kind)
    if not shown:
        raise unfit(
            "robustness",
            records,
            "no audit of this study has several epsilons, so there is no curve; give its plan an [[audit]] "
            'with `protocol = "paper"`',
        )
    return sorted(shown, key=lambda attack: -len(shown[attack]))


def _report(drawn: list[Group], audit: str) -> Report:
    cells = (cell for group in drawn for cells in group.kinds.values() for cell in cells)
    return next(cell.reports[audit] for cell in cells if audit in cell.reports)


def _panel(axes: Axes, group: Group, attack: Attack, looks: dict[str, Look], initially: bool) -> None:
    audit, key = attack
    for kind, cells in group.kinds.items():
        found = [
            (report, list(columns(report)[key].values()))
            for report in (cell.reports[audit] for cell in cells if audit in cell.reports)
            if key in columns(report)
        ]
        if not found:
            continue
        look = looks[kind]
        if found[0][0].clean.threshold is None:
            _line(axes, found, False, initially, look)
        else:
            _line(axes, found, True, initially, look)
            _line(axes, found, False, initially, Look(look.colour, look.marker, ":"))


def _line(
    axes: Axes, found: list[tuple[Report, list[Row]]], threshold: bool, initially: bool, look: Look
) -> None:
    """One kind's line: the mean over seeds with their range, or of one seed its interval."""
    x = [row.epsilon for row in found[0][1]]
    values = np.array([[_share(row, threshold, initially) for row in rows] for _, rows in found], float)
    low, high = values.min(0), values.max(0)
    if len(found) == 1 and (n := _trials(found[0][0], threshold, initially)):
        low, high = np.array([wilson(round(share * n), n) for share in values[0]]).T
    axes.fill_between(x, low, high, color=look.colour, alpha=0.1, linewidth=0)
    axes.plot(x, values.mean(0), look.dashes, marker=look.marker, color=look.colour)


def _share(row: Row, threshold: bool, initially: bool) -> float | None:
    """What a row says, in 0..1; None where no image was right at first."""
    if initially:
        return row.threshold_initially_correct if threshold else row.accuracy_initially_correct
    return row.threshold_accuracy if threshold else row.accuracy


def _trials(report: Report, threshold: bool, initially: bool) -> int:
    """Of how many images that is a share."""
    if not initially:
        return report.data.n
    right = report.clean.threshold if threshold else report.clean.accuracy
    return round((right or 0) * report.data.n)
