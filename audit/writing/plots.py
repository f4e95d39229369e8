"""Robustness as a picture file; matplotlib is imported on first use."""

from __future__ import annotations

from collections.abc import Sequence

from ...drawing import rendered
from ..customs import COUNTED
from ..protocol import Protocol
from ..report import Report, Row
from ..sensitivity import curve
from . import heat
from .charts import bars, single
from .table import columns, titles

COLOUR, INK = "#1f5fa8", "#1c2430"
IN_A_ROW = 3
"""Panels; more make the text too small on a page."""


def curves(report: Report, kind: str) -> bytes:
    """Accuracy against epsilon, one panel per attack, as a picture of the given kind; bars for one epsilon.

    For changes without an adversary, a heat map of kinds and severities. Several protocols stand below
    each other.

    As in Chen et al. 2021, figure 3: solid for threshold decoding, dotted for nearest neighbour; a
    model on logits has one solid line. The band is the 95 % Wilson interval.
    """
    from matplotlib.figure import Figure

    sizes = [_size(part) for part in report.parts]
    figure = Figure(layout="constrained", figsize=(max(w for w, _ in sizes), sum(h for _, h in sizes)))
    places = [figure]
    if len(sizes) > 1:
        places = figure.subfigures(len(sizes), 1, squeeze=False, height_ratios=[h for _, h in sizes])[:, 0]
    name = report.model.file.rsplit(".", 1)[0]
    for place, part in zip(places, report.parts, strict=True):
        _draw(place, part)
        protocol = f", {part.protocol.name}" if report.further else ""
        place.suptitle(f"{name} on {part.data.n} images of {part.data.name}{protocol}", fontsize=11)
    return rendered(figure, kind, dpi=160)


def _size(report: Report) -> tuple[float, float]:
    """Width and height in inches of the picture of one protocol."""
    if report.protocol.natural and not heat.only_shift(report):
        return heat.size(report)
    return (7, 1.8 + 0.4 * len(bars(report))) if single(report) else size_of_panels(len(columns(report)))


def _draw(figure, report: Report) -> None:
    if report.protocol.natural and not heat.only_shift(report):
        heat.draw(figure, report)
    elif single(report):
        _bars(figure, report)
    else:
        _panels(figure, report)


def _bars(figure, report: Report) -> None:
    """Clean accuracy, and what is left after each attack."""
    found = bars(report)[::-1]
    panel = figure.subplots()
    shares = [bar.share for bar in found]
    whiskers = [
        [max(bar.share - bar.low, 0) for bar in found],
        [max(bar.high - bar.share, 0) for bar in found],
    ]
    near = [bar.near for bar in found if bar.near is not None]
    both = len(near) == len(found)
    pale = {"alpha": 0.4, "label": "nearest neighbour"} if both else {}
    panel.barh(range(len(found)), shares, xerr=whiskers, color=COLOUR, height=0.6, ecolor=INK, **pale)
    if both:
        panel.barh(range(len(found)), near, color=COLOUR, height=0.3, label="threshold")
    for place, bar in enumerate(found):
        panel.text(max(bar.high, bar.share) + 1.5, place, bar.figure, va="center", fontsize=9)
    panel.set_yticks(range(len(found)), [bar.name for bar in found])
    panel.set_xlim(0, 122 if both else 110)
    panel.set_xticks(range(0, 101, 20))
    protocol = report.protocol
    size = protocol.in_words(protocol.epsilons[-1])
    units = "" if protocol.norm in COUNTED else f" ({protocol.epsilon_space})"
    panel.set_xlabel(f"accuracy, % of all images{'' if protocol.natural else f'; {size}{units}'}")
    panel.spines[["top", "right"]].set_visible(False)
    if both:
        explain_lines(figure, panel)


def _panels(figure, report: Report) -> None:
    by_attack = columns(report)
    panels = panels_of_attacks(figure, titles(report), report.protocol)
    for panel, rows in zip(panels, by_attack.values(), strict=True):
        _curve(panel, report, [row for row in rows.values() if row.epsilon > 0])
    explain_lines(figure, panels[0])


def panels_of_attacks(figure, names: Sequence[str], protocol: Protocol) -> list:
    """Panels for accuracy against epsilon, one per attack, `IN_A_ROW` in a row."""
    across, down = _grid(len(names))
    grid = figure.subplots(down, across, sharey=True, squeeze=False)
    panels = list(grid.flat)
    for spare in panels[len(names) :]:
        spare.remove()
    for panel, name in zip(panels, names, strict=False):
        panel.set_title(name, fontsize=10)
        panel.set_xlabel(protocol.axis)
        _mark_epsilons(panel, protocol)
        panel.set_ylim(-2, 102)
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    for row in grid:
        row[0].set_ylabel("accuracy, % of all images")
    return panels[: len(names)]


def size_of_panels(count: int) -> tuple[float, float]:
    """Width and height in inches of a figure with so many panels."""
    across, down = _grid(count)
    return 3.1 * across + 0.5, 2.9 * down + 0.8


def _grid(count: int) -> tuple[int, int]:
    """Panels in a row, and rows."""
    across = min(count, IN_A_ROW)
    return across, -(-count // across)


def _mark_epsilons(panel, protocol: Protocol) -> None:
    """Mark the horizontal axis: in 255ths where the epsilons are."""
    largest = protocol.epsilons[-1]
    if "/" in protocol.written(largest):
        places = [0.0, largest / 2, largest]
        panel.set_xticks(places, [protocol.written(place) for place in places])
    else:
        panel.locator_params(axis="x", nbins=5)


def explain_lines(figure, panel) -> None:
    """The legend below the panels, for the lines of one of them."""
    handles, names = panel.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False)


def _curve(panel, report: Report, rows: list[Row]) -> None:
    """One attack from epsilon 0, the clean images, on."""
    clean = report.clean
    x = [0.0, *(row.epsilon for row in rows)]
    exact = curve(report)
    threshold = [clean.threshold, *(row.threshold_accuracy for row in rows)]
    has_threshold = None not in threshold
    accuracy = [100 * share for share in (clean.accuracy, *(row.accuracy for row in rows))]
    intervals = [clean.interval, *(row.interval for row in rows)]
    low, high = ([100 * interval[end] for interval in intervals] for end in (0, 1))
    label = "nearest neighbour" if has_threshold else "arg-max"
    style = ":" if has_threshold else "-"
    if exact:
        panel.plot(x, accuracy, "o", ms=3.5, color=COLOUR)
        x = exact.epsilons
        accuracy, low, high = (
            [100 * s for s in shares] for shares in (exact.accuracy, exact.low, exact.high)
        )
    panel.fill_between(x, low, high, color=COLOUR, alpha=0.15, linewidth=0)
    marker = None if exact else "o"
    panel.plot(x, accuracy, style, marker=marker, ms=3.5, color=COLOUR, label=label)
    if has_threshold:
        x = [0.0, *(row.epsilon for row in rows)]
        share = [100 * t for t in threshold if t is not None]
        panel.plot(x, share, "-", marker="o", ms=3.5, color=COLOUR, label="threshold", alpha=0.8)
