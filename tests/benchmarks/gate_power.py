"""Draws how often the gate catches a true drop: python tests/benchmarks/gate_power.py docs/gate-power.png"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).parents[1]))
from simulation import failing

CASES = {
    "5 points, 1,000 images": (1000, 0.05, "#1f5fa8", "o"),
    "3 points, 1,000 images": (1000, 0.03, "#b06f1a", "s"),
    "5 points, 360 images": (360, 0.05, "#2e8b57", "^"),
    "no drop, 1,000 images": (1000, 0.0, "#6b6b6b", "x"),
}
TESTS = {1: "the comparison has one row", 23: "the comparison has 23 rows, one of them drops"}
GRID = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4)


def main(path):
    figure = Figure(figsize=(9, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2, sharey=True)
    for panel, (rows, title) in zip(panels, TESTS.items(), strict=True):
        for name, (n, drop, colour, marker) in CASES.items():
            caught = [failing(n, d, drop, rows, rounds=4000 if rows == 1 else 200) for d in GRID]
            print(f"{name}, {rows} rows:", *(f"{d:.0%} {c:.1%}," for d, c in zip(GRID, caught, strict=True)))
            x, y = 100 * np.array(GRID), 100 * np.array(caught)
            panel.plot(x, y, marker=marker, ms=5, color=colour, label=name)
        panel.axhline(95, color="black", lw=0.8, ls="--", alpha=0.5)
        panel.set_title(title, fontsize=10)
        panel.set_xlabel("images whose outcome differs, %")
        panel.set_ylim(-2, 102)
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("checks that fail, %")
    panels[1].text(40, 95.8, "95 %", ha="right", fontsize=8)
    figure.suptitle("How often audit check finds a true drop in accuracy")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(path, dpi=140)


if __name__ == "__main__":
    main(sys.argv[1])
