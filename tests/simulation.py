"""Pairs of audits as chance would make them, for what the gate says of them."""

import numpy as np

from vivavoce.audit import Limits
from vivavoce.audit.gate.pairing import Vector
from vivavoce.audit.gate.rows import pair_up
from vivavoce.audit.gate.stopping import Row, Stopping


def outcomes(
    draw: np.random.Generator,
    n: int,
    rows: int,
    discordant: float,
    drop: float,
    dropped: int,
    right: float = 0.6,
):
    """Vectors before and after: `rows` figures of n images, the first `dropped` of which truly fall.

    The same images tend to change in every row, as they do in an audit: each row takes its own half of
    its chance from what all rows share.
    """
    shared = draw.random(n)
    pairs = []
    for k in range(rows):
        own = np.where(draw.random(n) < 0.5, shared, draw.random(n))
        fall = drop if k < dropped else 0.0
        lost = own < (discordant + fall) / 2
        gained = (own >= 1 - (discordant - fall) / 2) & ~lost
        before = np.where(lost, True, np.where(gained, False, draw.random(n) < right))
        after = np.where(lost, False, np.where(gained, True, before))
        pairs.append((Vector(f"r{k}", f"r{k}", before), Vector(f"r{k}", f"r{k}", after)))
    return pairs


def failing(
    n: int,
    discordant: float,
    drop: float = 0.0,
    rows: int = 1,
    dropped: int = 1,
    rounds: int = 1000,
    seed: int = 0,
) -> float:
    """Share of the simulated pairs of audits that the gate fails, with its default limits."""
    draw, limits, failed = np.random.default_rng(seed), Limits(), 0
    for _ in range(rounds):
        pairs = pair_up(outcomes(draw, n, rows, discordant, drop, dropped), limits)
        failed += any(pair.result == "failed" for pair in pairs)
    return failed / rounds


def stopped(
    pairs: list[tuple[np.ndarray, np.ndarray]],
    steps: int,
    alpha: float,
    tolerance: float = 1.0,
    looks: int = 20,
    family: int | None = None,
) -> tuple[str | None, int]:
    """What a check decides early from values before and after, and after how many images.

    None and all images if it needs all of them.
    """
    rule = Stopping([Row(old, steps, tolerance) for old, _ in pairs], alpha, family or len(pairs))
    n = len(pairs[0][0])
    for images in range(looks, n, looks):
        seen = [new[:images] for _, new in pairs]
        if any(rule.failing(seen)):
            return "failed", images
        if rule.passing(seen):
            return "passed", images
    return None, n
