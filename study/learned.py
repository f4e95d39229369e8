"""What learned labels come to: best accuracy, area, time saved, meaning; a row a method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..artifacts.bank import LabelBank
from ..errors import VivavoceError
from ..train.labels.semantics.measure import measure
from ..train.labels.semantics.wordnet import WordNet
from ..train.learned.metrics import Saved, auac, best, mean_curve, saved
from .cell import level_name
from .methods import BASELINE, vectors
from .records import Record, grouped

FEATURES = "vectors/features.npz"


@dataclass(frozen=True)
class Row:
    """A method's figures over its seeds."""

    method: str
    records: tuple[Record, ...]
    best: np.ndarray
    """Best test accuracy of each seed, 0..1."""
    auac: np.ndarray
    """Of each seed, 0..100."""
    saved: Saved | None
    """By the mean curve against the baseline's mean best; None: never reached."""
    reached: tuple[int | None, ...]
    """By seed: the first epoch that reaches that seed's baseline."""
    tau: np.ndarray | None
    """Kendall's tau-b of the class vectors against WordNet, of each seed; None: not measured."""
    tau_features: np.ndarray | None
    """The same of the mean features, a control."""
    chance: float | None
    """Standard deviation of tau-b for random labels."""


def learned_tables(finished: Sequence[Record], wordnet: WordNet | None = None) -> list[str]:
    """Tables of all methods, one for each data set, encoder and amount of data, as parts of a Markdown page.

    Args:
        finished: cells that have ended.
        wordnet: to measure meaning with; None: the one that is installed, if any.
    """
    note = ""
    try:
        wordnet = wordnet or WordNet(None)
    except VivavoceError as error:
        note = f"Tau-b is left out: {error}"
    parts = []
    methodical = [record for record in finished if record.cell.method]
    for (data, encoder, level), group in grouped(
        methodical, lambda r: (r.cell.data, r.cell.encoder, r.cell.level)
    ):
        for train_mode, judged in ((False, "inference"), (True, "training")):
            rows = summarise(group, wordnet, train_mode)
            if rows:
                title = f"## {data}, {encoder}, {level_name(level)}: test images judged in {judged} mode"
                parts += [title, table(rows)]
    return parts + ([note] if note and parts else [])


def curve(record: Record, train_mode: bool = False) -> list[float]:
    """Test accuracy after each epoch, in 0..1."""
    name = "test_accuracy_train_mode" if train_mode else "test_accuracy"
    return [getattr(epoch, name) for epoch in record.history]


def summarise(records: Sequence[Record], wordnet: WordNet | None, train_mode: bool = False) -> list[Row]:
    """The figures of every method.

    Args:
        records: finished cells of one data set, encoder and level; seeds without a baseline yet are left out.
        wordnet: to measure meaning with; None: that is left out.
        train_mode: take the curves of the network in training mode.
    """
    baseline = {r.cell.seed: r for r in records if r.cell.method == BASELINE}
    if not baseline:
        return []
    target = float(np.mean([best(curve(r, train_mode)) for r in baseline.values()]))
    basic = np.mean([_seconds(r) for r in baseline.values()], axis=0).tolist()
    rows = []
    for (method,), group in grouped(records, lambda r: (r.cell.method,)):
        own = tuple(r for r in group if r.cell.seed in baseline)
        if not own:
            continue
        curves = [curve(r, train_mode) for r in own]
        seconds = np.mean([_seconds(r) for r in own], axis=0).tolist()
        each = [
            saved(mine, best(curve(baseline[r.cell.seed], train_mode)))
            for r, mine in zip(own, curves, strict=True)
        ]
        rows.append(
            Row(
                method,
                own,
                np.array([best(mine) for mine in curves]),
                np.array([auac(mine) for mine in curves]),
                saved(mean_curve(curves), target, seconds, basic),
                tuple(s.epoch if s else None for s in each),
                *_taus(own, wordnet),
            )
        )
    return rows


def _seconds(record: Record) -> list[float]:
    return [epoch.seconds for epoch in record.history]


def _taus(
    records: Sequence[Record], wordnet: WordNet | None
) -> tuple[np.ndarray | None, np.ndarray | None, float | None]:
    if wordnet is None:
        return None, None, None
    own = [r.folder / vectors(r.cell.kind) for r in records]
    features = [r.folder / FEATURES for r in records]
    try:
        found = measure({str(path): LabelBank.load(path) for path in own + features}, wordnet)
    except VivavoceError:
        return None, None, None  # classes that WordNet does not have
    taus = np.array([each.semantics.tau for each in found])
    return taus[: len(own)], taus[len(own) :], found[0].semantics.chance


def table(rows: Sequence[Row]) -> str:
    """The figures as Markdown: mean ± population standard deviation over seeds."""
    lines = [
        "| method | best accuracy, % | AUAC | epochs saved | time saved | epoch that reaches it, by seed | "
        "tau-b | tau-b of features |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        epochs = "never reached" if row.saved is None else f"{row.saved.epochs:.0%}"
        time = "–" if row.saved is None or row.saved.seconds is None else f"{row.saved.seconds:.0%}"
        basic = row.method == BASELINE
        reached = ", ".join("–" if epoch is None else str(epoch) for epoch in row.reached)
        lines.append(
            f"| {row.method} | {_spread(100 * row.best, 1)} | {_spread(row.auac, 1)} | "
            f"{'reference' if basic else epochs} | {'reference' if basic else time} | {reached} | "
            f"{_spread(row.tau, 3)} | {_spread(row.tau_features, 3)} |"
        )
    if chance := rows[0].chance:
        lines += ["", f"Tau-b of random labels: 0 ± {chance:.3f} for one run."]
    return "\n".join(lines)


def _spread(values: np.ndarray | None, digits: int) -> str:
    if values is None:
        return "–"
    spread = f" ± {values.std():.{digits}f}" if len(values) > 1 else ""
    return f"{values.mean():.{digits}f}{spread}"
