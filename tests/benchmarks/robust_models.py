"""Robust accuracy of trained models under `standard`, `fast` and pyautoattack's standard version.

    python tests/benchmarks/robust_models.py FOLDER [--third-party FOLDER --cifar10 SOURCE] [--limit 500]
        [--model NAME] [--protocol NAME] [--batch 100]

Every model and protocol in turn, `--batch` images at a time. What is finished is kept in FOLDER, so that an
interrupted run goes on where it was, and another one adds models or protocols. pyautoattack attacks a torch
network made from the operators and weights of the same file. Gradients and queries are images times passes,
with and without a way back; the diagnosis of an audit is not counted. Ends with the table.

The third-party files are those of CONTRIBUTING.md (`VIVAVOCE_TEST_DATA`); their images are CIFAR-10.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))
from rebuilt import Rebuilt

from vivavoce.artifacts import decide, open_model
from vivavoce.artifacts.model import ExportedModel
from vivavoce.artifacts.preprocessing import Preprocessing
from vivavoce.audit.evaluate import evaluate
from vivavoce.audit.protocol import resolve
from vivavoce.audit.target import Target
from vivavoce.images import Fit, ImageSet, open_images
from vivavoce.images.imageset import to_float

OVAL = Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.225,) * 3)
VIT = Preprocessing(mean=(0.4914, 0.4822, 0.4465), std=(0.2023, 0.1994, 0.2010))
MARABOU = Preprocessing(layout="nhwc")
MODELS: dict[str, tuple[float, Preprocessing | None]] = {
    "digits-robust-speech": (0.1, None),
    "digits-robust-category": (0.1, None),
    "cifar10-robust-category": (8 / 255, None),
    "vit_pgd_2_3_16": (2 / 255, VIT),
    "oval21__cifar_deep_kw": (2 / 255, OVAL),
    "oval21__cifar_wide_kw": (2 / 255, OVAL),
    "marabou-cifar10__cifar10_small": (3.06 / 255, MARABOU),
    "marabou-cifar10__cifar10_medium": (3.06 / 255, MARABOU),
}
"""Epsilon (l-infinity, pixels) that a model was trained for or is proved at, and the preprocessing."""
PROTOCOLS = ("fast", "standard", "pyautoattack")


@dataclass
class Subject:
    """A model, its images and epsilon."""

    name: str
    model: ExportedModel
    images: ImageSet
    indices: np.ndarray
    epsilon: float
    device: str = "cpu"
    """Where pyautoattack runs; the model was opened for it."""

    def run(self, protocol: str, places: np.ndarray) -> tuple[np.ndarray, int, int]:
        """Who survives among some images, and the gradients and queries that it took."""
        if protocol == "pyautoattack":
            return self._theirs(places)
        target = Target(self.model)
        target.limit(target.fitting_batch())
        found = evaluate(
            target, self.images, places, resolve(protocol, epsilons=[self.epsilon]).fitted(target),
            batch_size=target.fitting_batch(),
        )  # fmt: skip
        return found.robust(), target.gradients, target.queries

    def _theirs(self, places: np.ndarray) -> tuple[np.ndarray, int, int]:
        from pyautoattack import AutoAttack

        counted = Counted(Rebuilt(self.model.graph).eval().to(self.device))  # type: ignore[attr-defined]
        x = torch.from_numpy(to_float(self.images.pixels(places, Fit.of(self.model.manifest.input))))
        y = torch.from_numpy(self.images.labels[places])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            attack = AutoAttack(counted, norm="Linf", eps=self.epsilon, seed=0, version="standard",
                                device=self.device)  # fmt: skip
            out = attack.run_standard_evaluation(x, y, batch_size=len(x))
        out = (out[0] if isinstance(out, tuple) else out).cpu().numpy()
        return (
            decide(self.model.answer(out).scores) == self.images.labels[places],
            counted.gradients,
            counted.queries,
        )


class Counted(nn.Module):
    """Counts images on their way."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module, self.gradients, self.queries = module, 0, 0

    def forward(self, x):
        if x.requires_grad and torch.is_grad_enabled():
            self.gradients += len(x)
        else:
            self.queries += len(x)
        return self.module(x)


def subjects(given: argparse.Namespace) -> Iterator[Subject]:
    """The models that are there."""
    for name, (epsilon, options) in MODELS.items():
        shipped = options is None
        if (given.model and name not in given.model) or (not shipped and not given.third_party):
            continue
        model = (
            open_model(name) if shipped else open_model(given.third_party / "onnx" / f"{name}.onnx", options)
        )
        if name.startswith("digits"):
            images = open_images("digits")
        elif given.cifar10:
            images = open_images(given.cifar10)
        else:
            continue
        count = min(given.limit, len(images))
        yield Subject(name, model, images, images.sample(count, 0), epsilon)


def measure(subject: Subject, protocol: str, given: argparse.Namespace) -> None:
    """Attack the images that no earlier run has finished."""
    indices = np.random.default_rng(0).permutation(subject.indices)
    for first in range(0, len(indices), given.batch):
        places = np.sort(indices[first : first + given.batch])
        path = given.folder / f"{subject.name} {protocol} {first}-{first + len(places)}.npz"
        if path.exists():
            continue
        started = time.perf_counter()
        survived, gradients, queries = subject.run(protocol, places)
        seconds = time.perf_counter() - started
        np.savez(path, survived=survived, work=[gradients, queries, seconds])
        print(
            f"{subject.name} {protocol} {first}: {survived.sum()} of {len(places)} survive, "
            f"{gradients} gradients, {queries} queries, {seconds:.0f} s", flush=True,
        )  # fmt: skip


def table(folder: Path) -> None:
    """What FOLDER holds."""
    print(f"\n{'model':32} {'protocol':13} {'n':>4} {'robust':>7} {'gradients':>10} {'queries':>9} {'s':>7}")
    for name in MODELS:
        for protocol in PROTOCOLS:
            parts = [np.load(path) for path in sorted(folder.glob(f"{name} {protocol} *.npz"))]
            if not parts:
                continue
            survived = np.concatenate([part["survived"] for part in parts])
            gradients, queries, seconds = np.sum([part["work"] for part in parts], axis=0)
            print(
                f"{name:32} {protocol:13} {len(survived):4} {survived.mean():7.1%} {gradients:10.0f} "
                f"{queries:9.0f} {seconds:7.0f}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--third-party", type=Path)
    parser.add_argument("--cifar10", help="as --data takes it")
    parser.add_argument("--limit", type=int, default=500)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--model", action="append")
    parser.add_argument("--protocol", action="append", choices=PROTOCOLS)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    for subject in subjects(given):
        for protocol in given.protocol or PROTOCOLS:
            measure(subject, protocol, given)
    table(given.folder)


if __name__ == "__main__":
    main()
