"""The same model trained for several labels, amounts of data and seeds, and how they compare."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from ..errors import VivavoceError
from .loop import Trainer
from .parallel import World
from .run import CONFIG, RESULT, read_tensors, write_whole
from .setup import Choices, prepare


@dataclass(frozen=True)
class Outcome:
    """What one run came to."""

    label: str
    level: int
    """Percentage of the training images; 100: all."""
    seed: int
    validation: float
    test: float
    """Nearest-neighbour (or arg-max) accuracy in 0..1 of the best epoch on the test part."""
    best_epoch: int


@dataclass(frozen=True)
class Study:
    """Which runs are made; each is a folder `label-level-seed` under `out`."""

    base: Choices
    labels: Sequence[str]
    levels: Sequence[int]
    seeds: Sequence[int]
    out: Path

    def runs(self) -> Iterator[tuple[Choices, int, Path]]:
        """Every run, the small ones first, so that a study that is stopped early still compares labels."""
        for level in sorted(self.levels):
            for seed in self.seeds:
                for label in self.labels:
                    part = None if level == 100 else level
                    choices = replace(self.base, label=label, data_level=part, seed=seed)
                    yield choices, level, self.out / f"{label}-{level}-{seed}"

    def train(self, device: torch.device, to_end: Callable[[Trainer], object]) -> list[Outcome]:
        """Train what is not yet trained, and write table and picture after every run.

        Args:
            device: where to train.
            to_end: trains one run to its end.
        """
        outcomes: list[Outcome] = []
        for choices, level, folder in self.runs():
            if not (folder / RESULT).exists():
                to_end(prepare(choices, folder, device, (folder / CONFIG).exists(), World()))
            _, result = read_tensors(folder / RESULT)
            accuracy = result["accuracy"]
            outcomes.append(
                Outcome(
                    choices.label, level, choices.seed, accuracy["validation"], accuracy["test"],
                    result["best_epoch"],
                )
            )  # fmt: skip
            self._write(outcomes)
        return outcomes

    def _write(self, outcomes: list[Outcome]) -> None:
        rows = io.StringIO()
        writer = csv.DictWriter(rows, list(asdict(outcomes[0])))
        writer.writeheader()
        writer.writerows(asdict(o) for o in outcomes)
        write_whole(self.out / "runs.csv", rows.getvalue().encode())
        write_whole(self.out / "table.md", f"{table(outcomes)}\n".encode())
        draw(outcomes, self.out / "accuracy.png")


def groups(outcomes: Sequence[Outcome]) -> dict[tuple[str, int], list[float]]:
    """Test accuracies of all seeds by label and level."""
    found: dict[tuple[str, int], list[float]] = {}
    for o in outcomes:
        found.setdefault((o.label, o.level), []).append(o.test)
    return found


def table(outcomes: Sequence[Outcome]) -> str:
    """Test accuracy in per cent, mean and standard deviation over seeds, as Markdown: a row a label."""
    cells = groups(outcomes)
    levels = sorted({level for _, level in cells}, reverse=True)
    lines = [
        f"| label | {' | '.join(f'{level} % of the data' for level in levels)} |",
        "|---|" + "---|" * len(levels),
    ]
    for label in dict.fromkeys(label for label, _ in cells):
        values = (cells.get((label, level), []) for level in levels)
        lines.append(f"| {label} | {' | '.join(map(_cell, values))} |")
    return "\n".join(lines)


def _cell(accuracies: list[float]) -> str:
    if not accuracies:
        return ""
    spread = f" ± {100 * statistics.stdev(accuracies):.1f}" if len(accuracies) > 1 else ""
    return f"{100 * statistics.fmean(accuracies):.1f}{spread} (n = {len(accuracies)})"


def draw(outcomes: Sequence[Outcome], path: Path) -> None:
    """Draw test accuracy over the amount of data, a line a label, every run a dot."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter

    picture = io.BytesIO()
    figure = Figure((6, 4), layout="constrained")
    axes = figure.subplots()
    cells = groups(outcomes)
    for label in dict.fromkeys(label for label, _ in cells):
        levels = sorted(level for other, level in cells if other == label)
        means = [statistics.fmean(cells[label, level]) for level in levels]
        (line,) = axes.plot(levels, means, label=label)
        dots = [(level, value) for level in levels for value in cells[label, level]]
        axes.plot(*zip(*dots, strict=True), "o", color=line.get_color(), markersize=4, alpha=0.6)
    axes.set_xscale("log")
    every = sorted({level for _, level in cells})
    axes.set_xticks(every, [f"{level} %" for level in every])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel("share of the training images")
    axes.set_title("test accuracy: mean over seeds, and every run", fontsize="medium")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(picture, format="png", dpi=120)
    write_whole(path, picture.getvalue())


def numbers(text: str, what: str) -> list[int]:
    """Read whole numbers with commas between.

    Raises:
        VivavoceError: there is none, or something else among them.
    """
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise VivavoceError(f"{what} {text!r}: give whole numbers with commas between, such as 1,4") from None
