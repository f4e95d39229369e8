"""Error rates of checks that end early, and what they save: python tests/benchmarks/gate_stopping.py

Ten rows. In the cases with a drop it is of one row; in all of them, one image in ten differs at random unless
the case says otherwise. Shares come with 95 % Wilson intervals.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from simulation import outcomes, stopped

from vivavoce.audit import Limits
from vivavoce.audit.gate.rows import pair_up
from vivavoce.audit.statistics import wilson

CASES = {
    "no image differs": (0.0, 0.0),
    "2 % differ, no drop": (0.02, 0.0),
    "10 % differ, no drop": (0.1, 0.0),
    "drop of 2 points": (0.1, 0.02),
    "drop of 5 points": (0.1, 0.05),
    "drop of 10 points": (0.1, 0.1),
}
SIZES = {200: (32, 1000), 1000: (64, 400)}
"""Images: those between two looks, and the simulated checks."""
ROWS, RIGHT = 10, 0.8


def simulate(n, discordant, drop, looks, rounds):
    """Share of the checks that fail with all images and with a stop, that differ, and of images needed."""
    draw, found = np.random.default_rng(n), []
    for _ in range(rounds):
        pairs = outcomes(draw, n, ROWS, discordant, drop, 1, RIGHT)
        whole = any(row.result == "failed" for row in pair_up(pairs, Limits()))
        values = [(old.values.astype(int), new.values.astype(int)) for old, new in pairs]
        decision, images = stopped(values, 1, Limits().alpha, looks=looks)
        early = whole if decision is None else decision == "failed"
        found.append((whole, early, whole != early, images / n))
    return np.sum(found, axis=0)


def main():
    print("| images | case | fails on all images | fails with early end | differ | images needed |")
    print("|---:|---|---:|---:|---:|---:|")
    for n, (looks, rounds) in SIZES.items():
        for name, (discordant, drop) in CASES.items():
            whole, early, differ, share = simulate(n, discordant, drop, looks, rounds)
            cells = []
            for count in (whole, early, differ):
                low, high = wilson(count, rounds)
                cells.append(f"{count / rounds:.1%} ({low:.1%} to {high:.1%})")
            print(f"| {n:,} | {name} | {' | '.join(cells)} | {share / rounds:.0%} |", flush=True)


if __name__ == "__main__":
    main()
