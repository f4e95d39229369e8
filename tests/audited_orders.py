"""Audits under a budget as chance would order them, from the outcomes of single images in a report."""

import sys
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from vivavoce.audit import budget as budgets
from vivavoce.audit.budget import Budget, Pace
from vivavoce.audit.report import Report, load_report, unpack_bits
from vivavoce.audit.statistics import wilson


def costs(report: Report) -> np.ndarray:
    """Seconds of each image of an ensemble, float [n]: each row's are divided among those that it ran on."""
    images = report.images
    right = np.array([image.clean == image.label for image in images])
    found = np.zeros(len(images))
    largest = report.protocol.epsilons[-1]
    for epsilons in ([largest], report.protocol.epsilons[:-1]):
        robust = np.array([image.robust for image in images])
        standing = right if epsilons == [largest] else right & ~robust
        for epsilon in epsilons:
            for row in (row for row in report.rows if row.epsilon == epsilon):
                found[standing] += row.seconds / max(int(standing.sum()), 1)
                standing = standing & unpack_bits(row.survivors, len(images))
    return found


def finished(cost: np.ndarray, budget: str, batch_size: int, monkeypatch: Any) -> int:
    """How many images of an audit in this order are finished."""
    clock = SimpleNamespace(now=0.0)
    clock.perf_counter = lambda: clock.now
    monkeypatch.setattr(budgets, "time", clock)
    target = cast(Any, SimpleNamespace(gradients=0, queries=0))
    pace = Pace(target, len(cost), batch_size, 64, budget=Budget.read(budget), started=0.0)
    done = 0
    pace.mark(0)
    while done < len(cost):
        batch = cost[done : done + pace.size(done)]
        clock.now += float(batch.sum())
        target.queries += int(1000 * batch.sum())  # the diagnosis takes 64 * 120 passes: 8 seconds
        done += len(batch)
        pace.mark(done)
        if pace.enough(cast(Any, None), done):
            break
    return done


def covered(report: Report, budget: str | None, orders: int, seed: int, monkeypatch: Any) -> dict[str, float]:
    """Share of random orders whose interval holds the figure of the whole report, and what they finish."""
    robust, cost = np.array([image.robust for image in report.images]), costs(report)
    draw, hits, counts, over = np.random.default_rng(seed), 0, [], []
    for _ in range(orders):
        order = draw.permutation(len(robust))
        done = len(robust) if budget is None else finished(cost[order], budget, 64, monkeypatch)
        low, high = wilson(int(robust[order[:done]].sum()), done)
        hits += low <= robust.mean() <= high
        counts.append(done)
        over.append(cost[order[:done]].sum())
    return {"covered": hits / orders, "images": float(np.median(counts)), "seconds": float(np.median(over))}


if __name__ == "__main__":
    # python tests/audited_orders.py REPORT.json BUDGET ...: the table of docs/audit.md
    report = load_report(sys.argv[1])
    for text in sys.argv[2:]:
        print(text, covered(report, text, 2000, 0, pytest.MonkeyPatch()))
