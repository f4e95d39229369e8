"""Seconds until speech labels reach an accuracy on CIFAR-10: for a machine with a GPU.

    python tests/benchmarks/time_to_accuracy.py --bank bank.npz [--dataset cifar10] [--target 0.92]
        [--epochs 40 60 80]

Trains ResNet-32 and the label decoder with the `fast` recipe once for each number of epochs, shortest
first, and stops at the first run whose nearest-neighbour accuracy on the test images is at least the
target. A one-cycle run is at its best only at its end, so the time that counts is that of a whole run;
reading the data and making the labels do not count, validation after every epoch does.
"""

import argparse
import tempfile
import time
from pathlib import Path

import torch

from vivavoce.train.parallel import World
from vivavoce.train.run import pick_device
from vivavoce.train.setup import Choices, prepare


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bank", type=Path, required=True, help="made by `vivavoce labels build`")
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--encoder", default="resnet32")
    parser.add_argument("--target", type=float, default=0.92)
    parser.add_argument("--epochs", type=int, nargs="+", default=[40, 60, 80])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    device = pick_device("auto")
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    for epochs in sorted(options.epochs):
        with tempfile.TemporaryDirectory() as folder:
            choices = Choices(
                options.dataset, encoder=options.encoder, bank=options.bank, seed=options.seed,
                changes={"epochs": epochs},
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
        if accuracy >= options.target:
            return
    print(f"{options.target:.0%} was not reached")


if __name__ == "__main__":
    main()
