"""The paper's whole sweep, 4 attacks at 7 epsilons, against the ways it is done elsewhere.

    python tests/benchmarks/paper_sweep.py [--images 64] [--rounds 5] [--threads 2]

On the weights of `digits-category`: ours on the ONNX file; the authors' loop in torch, one image at a
time and a gradient for every epsilon; foolbox, untargeted and targeted, on batches. Everything runs in
turn, round after round; a figure is the median of (their time / ours): above 1, ours is faster.
"""

import argparse
import platform
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from vivavoce.artifacts import open_model
from vivavoce.audit.evaluate import evaluate
from vivavoce.audit.protocol import resolve, target_classes
from vivavoce.audit.target import Target
from vivavoce.images import Fit, open_images
from vivavoce.images.imageset import to_float
from vivavoce.train.model import Contract
from vivavoce.train.run import load_trained

RUNS = Path(__file__).parents[1] / "fixtures" / "runs"
EPSILONS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
STEPS = 5


class Scores(torch.nn.Module):
    def __init__(self, contract):
        super().__init__()
        self.contract = contract

    def forward(self, x):
        return self.contract(x)[0]


def authors_loop(model, images, labels, goals, std):
    """One image at a time, as the released code does it, with the paper's corrected iterative method."""
    for i in range(len(images)):
        x, y, t = images[i : i + 1], labels[i : i + 1], goals[i : i + 1]
        for chosen, sign in ((y, 1), (t, -1)):
            for steps in (1, STEPS):
                for epsilon in EPSILONS:
                    current = x
                    for _ in range(steps):
                        current = current.detach().requires_grad_(True)
                        (gradient,) = torch.autograd.grad(F.cross_entropy(model(current), chosen), current)
                        current = current + sign * epsilon * std / steps * gradient.sign()
                    model(current.detach()).argmax(1)


def foolbox_sweep(model, images, labels, goals, std):
    import foolbox

    wrapped = foolbox.models.pytorch.PyTorchModel(model, bounds=(0, 1), device="cpu")
    radii = [epsilon * std for epsilon in EPSILONS]
    targeted = foolbox.criteria.TargetedMisclassification(goals)
    step = {"rel_stepsize": 1 / STEPS, "steps": STEPS, "random_start": False}
    for criterion in (foolbox.criteria.Misclassification(labels), targeted):
        for attack in (foolbox.attacks.LinfPGD(rel_stepsize=1.0, steps=1, random_start=False),
                       foolbox.attacks.LinfPGD(**step)):  # fmt: skip
            attack(wrapped, images, criterion, epsilons=radii)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    digits = open_images("digits")
    indices = np.arange(options.images)
    images = to_float(digits.pixels(indices, Fit(32, 32)))
    labels = digits.labels[indices]
    goals = target_classes(digits.labels, 10, 0)[indices]
    _, bank, trained, _ = load_trained(RUNS / "digits-category")
    model = Scores(Contract(trained, bank)).eval().requires_grad_(False)
    std = float(trained.std[0])
    x, y, t = (torch.from_numpy(a) for a in (images, labels, goals))
    target, paper = Target(open_model("digits-category")), resolve("paper")
    contest: dict[str, Callable[[], object]] = {
        "ours": lambda: evaluate(target, digits, indices, paper, batch_size=options.images),
        "the authors' loop": lambda: authors_loop(model, x, y, t, std),
        "foolbox": lambda: foolbox_sweep(model, x, y, t, std),
    }
    contest["ours"]()  # its graphs are made once
    seconds = {name: [] for name in contest}
    for _ in range(options.rounds):
        for name, run in contest.items():
            started = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - started)
    print(
        f"{platform.machine()}, {options.threads} threads, {options.images} images, {options.rounds} rounds"
    )
    for name in list(contest)[1:]:
        ratios = np.array(seconds[name]) / np.array(seconds["ours"])
        print(f"{name}: {np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f})")


if __name__ == "__main__":
    main()
