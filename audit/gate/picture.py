"""A comparison as a picture; matplotlib is imported on first use."""

from __future__ import annotations

from ...drawing import rendered
from ..report import Report, Row
from ..writing.plots import explain_lines, panels_of_attacks, size_of_panels
from ..writing.table import columns, title
from .comparison import Comparison

OLD, NEW, LOSS, GAIN = "#8a8a8a", "#1f5fa8", "#c0392b", "#2e8b57"


def draw(comparison: Comparison, before: Report, after: Report, kind: str) -> bytes:
    """Draw a `png`, `svg` or `pdf`: curves over epsilon, or single figures where there is one."""
    from matplotlib.figure import Figure

    grid = [e for e in before.protocol.epsilons if e > 0]
    figure = Figure(layout="constrained")
    curved = len(grid) > 1 and not before.protocol.natural and len(before.rows) == len(after.rows)
    if curved and not before.further:
        _curves(figure, before, after)
    else:
        _figures(figure, comparison)
    heading = f"{comparison.after} against {comparison.before}"
    figure.suptitle(f"{heading}: {comparison.n} images of {comparison.data}", fontsize=11)
    return rendered(figure, kind, dpi=160)


def _curves(figure, before: Report, after: Report) -> None:
    """A panel per attack, both models in it."""
    old, new = columns(before), columns(after)
    names = [title(*key) for key in old]
    figure.set_size_inches(*size_of_panels(len(names)))
    panels = panels_of_attacks(figure, names, before.protocol)
    for panel, key in zip(panels, old, strict=True):
        _curve(panel, _from_clean(before, list(old[key].values())), OLD, 5, f"{before.model.file} (before)")
        _curve(panel, _from_clean(after, list(new[key].values())), NEW, 1.5, f"{after.model.file} (after)")
    explain_lines(figure, panels[0])


def _from_clean(report: Report, rows: list[Row]) -> list[tuple[float, float, float, float]]:
    """Epsilon, accuracy and its interval, from epsilon 0 on."""
    clean = report.clean
    points = [(r.epsilon, r.accuracy, *r.interval) for r in rows if r.epsilon > 0]
    return [(0.0, clean.accuracy, *clean.interval), *points]


def _curve(
    panel, points: list[tuple[float, float, float, float]], colour: str, width: float, label: str
) -> None:
    """The earlier curve is broad and pale, so that it stays visible below the later one."""
    x = [point[0] for point in points]
    accuracy, low, high = ([100 * point[k] for point in points] for k in (1, 2, 3))
    panel.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    panel.plot(x, accuracy, "-", marker="o", lw=width, ms=2 + width, color=colour, alpha=0.8, label=label)


def _figures(figure, comparison: Comparison) -> None:
    """A line per row, from before to after."""
    rows = comparison.rows[::-1]
    figure.set_size_inches(8, 1.7 + 0.28 * len(rows))
    panel = figure.subplots()
    for y, row in enumerate(rows):
        colour = LOSS if row.points < 0 else GAIN
        panel.plot([100 * row.before, 100 * row.after], [y, y], color=colour, alpha=0.6, lw=2)
    sides = (("before", comparison.before, OLD, 11), ("after", comparison.after, NEW, 6))
    for side, name, colour, size in sides:
        shares = [100 * getattr(row, side) for row in rows]
        panel.plot(shares, range(len(rows)), "o", color=colour, ms=size, label=f"{name} ({side})")
    panel.set_ylim(-0.7, len(rows) - 0.3)
    panel.set_yticks(range(len(rows)), [row.title for row in rows], fontsize=9)
    panel.set_xlabel("% of all images")
    panel.set_xlim(-2, 102)
    panel.grid(axis="x", alpha=0.25)
    panel.spines[["top", "right"]].set_visible(False)
    explain_lines(figure, panel)
