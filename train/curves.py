"""Learning curves as a picture."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from ..drawing import save_figure
from .epoch import Epoch


def draw_curves(history: list[Epoch], path: Path) -> None:
    """Draw loss, validation accuracy and learning rate over the epochs as a PNG."""
    epochs = [e.epoch for e in history]
    best = max(history, key=lambda e: e.rank)
    figure = Figure((11, 3.2), layout="constrained")
    loss, accuracy, rate = figure.subplots(1, 3)
    loss.plot(epochs, [e.train_loss for e in history], label="training")
    loss.plot(epochs, [e.validation_loss for e in history], label="validation")
    loss.legend(frameon=False)
    accuracy.plot(epochs, [e.validation_accuracy for e in history])
    accuracy.plot(best.epoch, best.validation_accuracy, "o")
    accuracy.annotate(
        f"best: {best.validation_accuracy:.1%}, epoch {best.epoch}",
        (best.epoch, best.validation_accuracy), xytext=(-6, -18), textcoords="offset points", ha="right",
    )  # fmt: skip
    accuracy.yaxis.set_major_formatter(PercentFormatter(1.0))
    rate.plot(epochs, [e.learning_rate for e in history])
    titles = ("loss", "validation accuracy", "learning rate at the epoch's end")
    for axes, title in zip((loss, accuracy, rate), titles, strict=True):
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3)
    save_figure(figure, path, dpi=120)
