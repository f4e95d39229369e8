"""Time until an accuracy is reached on CIFAR-10: of finished runs, or measured on a machine with a GPU.

    python tests/benchmarks/time_to_accuracy.py runs/category runs/speech [--target 0.85 0.9 0.92]

prints a Markdown table: for each run the minutes until its validation accuracy is at least each target, then
its length and its test accuracy. A run's minutes are those of its training and validation on the machine that
trained it, so compare runs of one machine only.

    python tests/benchmarks/time_to_accuracy.py --bank bank.npz [--dataset cifar10] [--target 0.92]
        [--epochs 40 60 80] [--encoder resnet32] [--recipe fast]
    python tests/benchmarks/time_to_accuracy.py --label category [the same]

trains a network (ResNet-32 with the `fast` recipe) once for each number of epochs, shortest first, and stops
at the first run whose nearest-neighbour test accuracy is at least the highest target. A one-cycle run is at
its best only at its end, so the time that counts is that of a whole run; reading the data and making the
labels do not count, validation after every epoch does.
"""

import argparse
import json
import tempfile
import time
from itertools import accumulate
from pathlib import Path

from vivavoce.train.parallel import World
from vivavoce.train.run import RESULT, pick_device, read_config, read_tensors
from vivavoce.train.setup import Choices, prepare


def table(folders: list[Path], targets: list[float]) -> str:
    """A row a run: minutes to each target by validation accuracy, and what it came to."""
    head = [
        "run",
        *(f"{100 * target:g} %" for target in targets),
        "epochs",
        "minutes",
        "validation, %",
        "test, %",
    ]
    rows = [head, ["---"] * len(head), *(row(folder, targets) for folder in folders)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def row(folder: Path, targets: list[float]) -> list[str]:
    """The cells of a run; one that is not finished has no test accuracy."""
    config = read_config(folder)
    epochs = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    passed = [seconds / 60 for seconds in accumulate(epoch["seconds"] for epoch in epochs)]
    reached = [
        next(
            (f"{m:.1f}" for m, e in zip(passed, epochs, strict=True) if e["validation_accuracy"] >= t),
            "never",
        )
        for t in targets
    ]
    best = max(epoch["validation_accuracy"] for epoch in epochs)
    test = read_tensors(folder / RESULT)[1]["accuracy"]["test"] if (folder / RESULT).exists() else None
    name = f"{config.encoder}, {config.recipe.name}, {config.label}"
    length = f"{len(epochs)} of {config.recipe.epochs}"
    shown = "" if test is None else f"{100 * test:.2f}"
    return [name, *reached, length, f"{passed[-1]:.1f}", f"{100 * best:.2f}", shown]


def measure(options: argparse.Namespace) -> None:
    """Train longer and longer runs until one reaches the target, and print each."""
    import torch

    device, target = pick_device("auto"), max(options.target)
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    for epochs in sorted(options.epochs):
        with tempfile.TemporaryDirectory() as folder:
            choices = Choices(
                options.dataset, label=options.label, encoder=options.encoder, recipe=options.recipe,
                bank=options.bank, seed=options.seed, changes={"epochs": epochs},
            )  # fmt: skip
            trainer = prepare(choices, Path(folder) / "run", device, False, World())
            started = time.perf_counter()
            result = trainer.train(lambda *_: None, lambda _: None)
            seconds = time.perf_counter() - started
        assert result is not None
        accuracy = result["accuracy"]["test"]
        per = epochs * len(trainer.splits.train) / seconds
        print(
            f"{name}: {epochs} epochs, {seconds:.0f} s, {per:.0f} images/s, test accuracy {accuracy:.2%}",
            flush=True,
        )
        if accuracy >= target:
            return
    print(f"{target:.0%} was not reached")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="*", help="folders of training runs")
    parser.add_argument("--bank", type=Path, help="made by `vivavoce labels build`")
    parser.add_argument("--label", default="speech", choices=["speech", "category"])
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--encoder", default="resnet32")
    parser.add_argument("--recipe", default="fast")
    parser.add_argument("--target", type=float, nargs="+", default=[0.85, 0.9, 0.92])
    parser.add_argument("--epochs", type=int, nargs="+", default=[40, 60, 80])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if bool(options.runs) == bool(options.bank or options.label == "category"):
        parser.error("give folders of runs, or --bank or --label category to train")
    if options.runs:
        print(table(options.runs, options.target))
    else:
        measure(options)


if __name__ == "__main__":
    main()
