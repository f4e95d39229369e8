"""Images per second of our training step and input pipeline, against a plain PyTorch loop.

    python tests/benchmarks/training_speed.py [--seconds 20] [--threads 1] [--device cpu] [--encoder resnet32]

The plain loop is what a script usually has, the label paper's released code among them: a data set of
PIL images, torchvision's RandomCrop, RandomHorizontalFlip, ToTensor and Normalize on each, a DataLoader
with two workers (none with --workers 0), float32, SGD with momentum. Ours is `Trainer`'s own step with the
`fast` recipe. Same network and label decoder, same batch, same threads, same random images.

The contestants run in turn, round after round, so that noise on the machine meets all alike; a figure is
the median over the rounds, of images per second and of the ratio to the plain loop.
"""

import argparse
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from vivavoce.artifacts import LabelBank
from vivavoce.images.classes import CLASSES
from vivavoce.train.augment import augment, draw
from vivavoce.train.data import CIFAR_STATISTICS, Split, Splits
from vivavoce.train.loop import Trainer
from vivavoce.train.model import Classifier
from vivavoce.train.objectives import Moment
from vivavoce.train.recipes import resolve
from vivavoce.train.run import settle_precision
from vivavoce.train.setup import Choices, configure

BATCH, IMAGES = 128, 5120
Step = Callable[[], object]


class Plain(Dataset):
    """Images one by one, as most scripts read them."""

    def __init__(self, pixels: np.ndarray, classes: np.ndarray) -> None:
        self.pixels, self.classes = pixels, classes
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(32, 4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(*CIFAR_STATISTICS),
            ]
        )

    def __len__(self) -> int:
        return len(self.classes)

    def __getitem__(self, index: int):
        return self.transform(Image.fromarray(self.pixels[index])), self.classes[index]


def endless(loader: DataLoader) -> Iterator:
    while True:
        yield from loader


def plain_steps(options, pixels: np.ndarray, classes: np.ndarray, bank: LabelBank) -> tuple[Step, Step]:
    """The plain loop's input alone, and its whole step."""
    device = torch.device(options.device)
    data = Plain(pixels, classes)
    loader = DataLoader(
        data,
        BATCH,
        shuffle=True,
        num_workers=options.workers,
        drop_last=True,
        pin_memory=device.type == "cuda",
    )
    batches = endless(loader)
    model = Classifier(options.encoder, 10, (64, 64), (0.0,) * 3, (1.0,) * 3).to(device)
    labels = torch.from_numpy(bank.labels).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)

    def feed() -> object:
        return next(batches)

    def step() -> float:
        images, chosen = next(batches)
        loss = F.smooth_l1_loss(model(images.to(device)), labels[chosen.to(device)])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return feed, step


def our_steps(
    options, pixels: np.ndarray, classes: np.ndarray, bank: LabelBank, folder: Path, **changes
) -> tuple[Step, Step]:
    """The same of `Trainer`, with the `fast` recipe."""
    device = torch.device(options.device)
    part = Split(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)), classes)
    splits = Splits("random", "random", bank.classes, part, part, part, *CIFAR_STATISTICS, True)
    recipe = settle_precision(
        resolve("fast", True, options.encoder, {"batch_size": BATCH, **changes}), device
    )
    config = configure(Choices("random", "constant", options.encoder), recipe, splits, bank)
    trainer = Trainer(config, bank, splits, folder, device)
    trainer.model.train()
    chance = torch.Generator().manual_seed(0)

    def batch() -> tuple[torch.Tensor, torch.Tensor, Moment]:
        chosen = torch.randperm(IMAGES, generator=chance)[:BATCH]
        images, classes = next(trainer.feed.batches([chosen]))
        return images, classes, Moment(0, 0, chosen)

    def feed() -> object:
        images, _, _ = batch()
        return augment(images, 4, draw(BATCH, 4, True, chance)).float() / 255

    def step() -> float:
        return trainer._step(*batch(), 0.01, chance).item()

    return feed, step


def rates(steps: dict[str, Step], seconds: float) -> dict[str, list[float]]:
    """Images per second of each, round by round."""
    found: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        step()
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            found[name].append(BATCH / (time.perf_counter() - started))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0, help="of the plain DataLoader")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--encoder", default="resnet32")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (IMAGES, 32, 32, 3)).astype(np.uint8)
    classes = generator.integers(0, 10, IMAGES)
    labels = generator.uniform(-80, 0, (10, 64, 64)).astype(np.float32)
    bank = LabelBank("constant", labels, CLASSES["cifar10"])
    print(
        f"{options.encoder} + label decoder, batch {BATCH}, {options.threads} threads, plain DataLoader with "
        f"{options.workers} workers, {options.device}, {platform.machine()}, torch {torch.__version__}"
    )
    with tempfile.TemporaryDirectory() as folder:
        plain = plain_steps(options, pixels, classes, bank)
        full = our_steps(options, pixels, classes, bank, Path(folder), precision="float32")
        half = our_steps(options, pixels, classes, bank, Path(folder))
        report("input alone", {"plain": plain[0], "ours": half[0]}, options.seconds / 4)
        report("whole step", {"plain": plain[1], "ours, float32": full[1], "ours": half[1]}, options.seconds)


def report(title: str, steps: dict[str, Step], seconds: float) -> None:
    found = rates(steps, seconds)
    print(f"{title}, {len(found['plain'])} rounds:")
    for name, speeds in found.items():
        ratio = np.median(np.array(speeds) / np.array(found["plain"]))
        print(f"  {name:15} {np.median(speeds):9.0f} images/s  {ratio:6.2f}x plain")


if __name__ == "__main__":
    main()
