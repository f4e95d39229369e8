"""Draws how often the gate catches a true drop: python tests/benchmarks/gate_power.py docs/gate-power.png"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).parents[1]))
from simulation import failing

CASES = {
    "5 points, 1,000 images": (1000, 0.05, "#1f5fa8"),
    "5 points, 360 images": (360, 0.05, "#2e8b57"),
    "3 points, 1,000 images": (1000, 0.03, "#b06f1a"),
    "no drop, 1,000 images": (1000, 0.0, "#8a8a8a"),
}
GRID = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4)


def main(path):
    figure = Figure(figsize=(8.5, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    panel = figure.subplots()
    for name, (n, drop, colour) in CASES.items():
        for rows, style in ((1, "-"), (23, ":")):
            caught = [failing(n, d, drop, rows, rounds=4000 if rows == 1 else 200) for d in GRID]
            print(f"{name}, {rows} rows:", *(f"{d:.0%} {c:.1%}," for d, c in zip(GRID, caught, strict=True)))
            label = f"{name}, {'one row' if rows == 1 else 'one of 23 rows'}"
            x, y = 100 * np.array(GRID), 100 * np.array(caught)
            panel.plot(x, y, style, marker="o", ms=3.5, color=colour, label=label)
    panel.axhline(95, color="black", lw=0.6, alpha=0.4)
    panel.set_xlabel("images whose outcome differs between the two models, %")
    panel.set_ylabel("checks that fail, %")
    panel.set_ylim(-2, 102)
    panel.grid(alpha=0.25)
    panel.spines[["top", "right"]].set_visible(False)
    figure.legend(frameon=False, fontsize=8, loc="outside right upper")
    figure.savefig(path, dpi=140)


if __name__ == "__main__":
    main(sys.argv[1])
