"""Table and curves of a comparison of the adaptive-label paper's methods."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...artifacts.bank import LabelBank
from ...errors import VivavoceError
from ..labels.semantics.measure import measure
from ..labels.semantics.wordnet import WordNet
from ..run import write_whole
from .metrics import Saved, auac, best, mean_curve, saved
from .study import BASELINE, Cell

COLOURS = ("#1b1b23", "#7a7a88", "#2a7f8e", "#b8860b", "#4a7c2c", "#a9327d", "#c8382e", "#34105f")


@dataclass(frozen=True)
class Row:
    """A method's figures over its seeds."""

    method: str
    cells: tuple[Cell, ...]
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


def summarise(cells: Sequence[Cell], wordnet: WordNet | None, train_mode: bool = False) -> list[Row]:
    """The figures of every method.

    Args:
        cells: finished runs; seeds without a baseline yet are left out.
        wordnet: to measure meaning with; None: that is left out.
        train_mode: take the curves of the network in training mode.
    """
    baseline = {c.seed: c for c in cells if c.method == BASELINE}
    target = float(np.mean([best(c.curve(train_mode)) for c in baseline.values()]))
    basic = np.mean([c.seconds for c in baseline.values()], axis=0).tolist()
    rows = []
    for method in dict.fromkeys(c.method for c in cells):
        own = tuple(c for c in cells if c.method == method and c.seed in baseline)
        curves = [c.curve(train_mode) for c in own]
        seconds = np.mean([c.seconds for c in own], axis=0).tolist()
        each = [
            saved(curve, best(baseline[c.seed].curve(train_mode)))
            for c, curve in zip(own, curves, strict=True)
        ]
        rows.append(
            Row(
                method,
                own,
                np.array([best(curve) for curve in curves]),
                np.array([auac(curve) for curve in curves]),
                saved(mean_curve(curves), target, seconds, basic),
                tuple(s.epoch if s else None for s in each),
                *_taus([c.vectors for c in own], [c.features for c in own], wordnet),
            )
        )
    return rows


def _taus(
    vectors: list[Path], features: list[Path], wordnet: WordNet | None
) -> tuple[np.ndarray | None, np.ndarray | None, float | None]:
    if wordnet is None:
        return None, None, None
    try:
        found = measure({str(path): LabelBank.load(path) for path in vectors + features}, wordnet)
    except VivavoceError:
        return None, None, None  # classes that WordNet does not have
    taus = np.array([each.semantics.tau for each in found])
    return taus[: len(vectors)], taus[len(vectors) :], found[0].semantics.chance


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


def write_runs(cells: Sequence[Cell], path: Path) -> None:
    """Write every epoch of every run as CSV."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["method", "seed", "epoch", "test_accuracy", "test_accuracy_train_mode", "seconds"])
    for c in cells:
        writer.writerows(
            [c.method, c.seed, e.epoch, e.test_accuracy, e.test_accuracy_train_mode, e.seconds]
            for e in c.history
        )
    write_whole(path, text.getvalue().encode())


def draw(rows: Sequence[Row], title: str, path: Path, train_mode: bool = False) -> None:
    """Draw the mean test curves, the seeds' range as a band, and the baseline's best as a line."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    figure = Figure((7.5, 4.6), layout="constrained")
    axes = figure.subplots()
    for row, colour in zip(rows, COLOURS * 2, strict=False):
        curves = np.array([c.curve(train_mode) for c in row.cells])
        epochs = np.arange(1, curves.shape[1] + 1)
        dashed = "--" if row.method.endswith("-port") else "-"
        axes.plot(epochs, curves.mean(0), dashed, color=colour, label=row.method, linewidth=1.8)
        axes.fill_between(epochs, curves.min(0), curves.max(0), color=colour, alpha=0.1, linewidth=0)
        if row.method == BASELINE:
            axes.axhline(row.best.mean(), color=colour, linewidth=0.8, linestyle=":")
    axes.set_xlabel("epoch")
    axes.set_title(f"{title}\ntest accuracy, mean and range over seeds", loc="left", fontsize=10)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    picture = io.BytesIO()
    figure.savefig(picture, format=path.suffix.lstrip(".") or "png", dpi=130)
    write_whole(path, picture.getvalue())
