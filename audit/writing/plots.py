"""Robustness curves; matplotlib is imported on first use."""

from __future__ import annotations

from ...drawing import rendered
from ..report import Report, Row
from .table import columns, title

COLOUR = "#1f5fa8"


def curves(report: Report, kind: str) -> bytes:
    """Accuracy against epsilon, one panel per attack, as a picture of the given kind.

    As in Chen et al. 2021, figure 3: solid for threshold decoding, dotted for nearest neighbour; a
    model on logits has one solid line. The band is the 95 % Wilson interval.
    """
    from matplotlib.figure import Figure

    by_attack = columns(report)
    figure = Figure(figsize=(3.1 * len(by_attack) + 0.5, 3.6), layout="constrained")
    panels = figure.subplots(1, len(by_attack), sharey=True, squeeze=False)[0]
    for panel, (key, rows) in zip(panels, by_attack.items(), strict=True):
        _curve(panel, list(rows.values()))
        panel.set_title(title(*key), fontsize=10)
        panel.set_xlabel(f"epsilon ({report.protocol.epsilon_space})")
        panel.set_ylim(-2, 102)
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("accuracy, % of all images")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False)
    name = report.model.file.rsplit(".", 1)[0]
    figure.suptitle(f"{name} on {report.data.n} images of {report.data.name}", fontsize=11)
    return rendered(figure, kind, dpi=160)


def _curve(panel, rows: list[Row]) -> None:
    x = [row.epsilon for row in rows]
    threshold = [row.threshold_accuracy for row in rows]
    has_threshold = None not in threshold
    accuracy = [100 * row.accuracy for row in rows]
    low, high = ([100 * row.interval[end] for row in rows] for end in (0, 1))
    panel.fill_between(x, low, high, color=COLOUR, alpha=0.15, linewidth=0)
    label = "nearest neighbour" if has_threshold else "arg-max"
    panel.plot(x, accuracy, ":" if has_threshold else "-", marker="o", ms=3.5, color=COLOUR, label=label)
    if has_threshold:
        share = [100 * t for t in threshold if t is not None]
        panel.plot(x, share, "-", marker="o", ms=3.5, color=COLOUR, label="threshold", alpha=0.8)
