"""Each attack of the ensemble against the reference implementation, on the same weights and budget."""

import io
import tarfile
import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from vivavoce.artifacts import decide, open_model
from vivavoce.audit.attacks.apgd import APGD
from vivavoce.audit.attacks.base import Ball, Goal
from vivavoce.audit.attacks.fab import FAB
from vivavoce.audit.attacks.square import Square
from vivavoce.audit.attacks.streams import Streams
from vivavoce.audit.plan import Settings
from vivavoce.audit.protocol import resolve
from vivavoce.audit.run import robustness
from vivavoce.audit.target import Target
from vivavoce.train.model import Contract
from vivavoce.train.run import load_trained


@dataclass
class Budget:
    steps: int = 100
    rivals: int = 9
    queries: int = 5000


class Scores(nn.Module):
    """Only the scores of a model under our contract."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x):
        return self.module(x)[0]


def ours(name: str, budget: Budget, target: Target, images, labels, ball: Ball) -> np.ndarray:
    """Who survives: bool [N]."""
    attack = {
        "apgd-ce": lambda: APGD(steps=budget.steps),
        "apgd-t": lambda: APGD("targeted-dlr", steps=budget.steps, rivals=budget.rivals),
        "fab-t": lambda: FAB(steps=budget.steps, rivals=budget.rivals),
        "square": lambda: Square(budget.queries),
    }[name]()
    streams = Streams.of(0, attack.name, np.arange(len(images)))
    (out,) = attack.sweep(target, images, Goal(labels), [ball], streams)
    assert ball.size(out, images).max() <= ball.radius.max() * (1 + 1e-5)
    return decide(target.answer(out).scores) == labels


def theirs(name: str, budget: Budget, model: nn.Module, images, labels, ball: Ball) -> np.ndarray:
    """Who survives `pyautoattack`: bool [N]."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pyautoattack import AutoAttack

        norm: Literal["Linf", "L2"] = "Linf" if ball.norm == "linf" else "L2"
        attack = AutoAttack(model, norm=norm, eps=float(ball.radius.max()), seed=0, version="custom")
        attack.attacks_to_run = [name]
        attack.apgd.n_restarts, attack.apgd.n_iter = 1, budget.steps
        attack.apgd_targeted.n_iter = attack.fab.n_iter = budget.steps
        attack.apgd_targeted.n_target_classes = attack.fab.n_target_classes = budget.rivals
        attack.fab.n_restarts = attack.apgd_targeted.n_restarts = 1
        attack.square.n_queries = budget.queries
        x, y = torch.from_numpy(images), torch.from_numpy(labels)
        out = attack.run_standard_evaluation(x, y, batch_size=128)
        with torch.no_grad():
            return (model(out[0] if isinstance(out, tuple) else out).argmax(1) == y).numpy()


def sphere(norm: Literal["linf", "l2"], radius: float) -> Ball:
    return Ball(norm, np.full((3, 1, 1) if norm == "linf" else (1, 1, 1), radius, np.float32))


SHORT = [("apgd-ce", "linf"), ("apgd-ce", "l2"), ("apgd-t", "linf"), ("fab-t", "l2"), ("square", "linf")]
LONG = [("apgd-t", "l2"), ("fab-t", "linf"), ("square", "l2")]


@pytest.mark.parametrize(
    ("name", "norm"), [*SHORT, *(pytest.param(*case, marks=pytest.mark.full) for case in LONG)]
)
def test_a_shipped_model(name, norm, runs, digits):
    """A few images and a small budget; they may differ by one image."""
    _, _, model, _ = load_trained(runs / "digits-category")
    twin = Scores(Contract(model, None).eval().requires_grad_(False))
    target = Target(open_model("digits-category"))
    images, labels, _ = digits(target, 32)
    ball = sphere(norm, {"linf": 0.045, "l2": 1.3}[norm] * (1.6 if name == "square" else 1))
    budget = Budget(steps=25, rivals=2, queries=250)
    us = ours(name, budget, target, images, labels, ball)
    them = theirs(name, budget, twin, images, labels, ball)
    assert 0 < them.sum() < len(them)
    assert abs(int(us.sum()) - int(them.sum())) <= 1


@pytest.fixture(scope="module")
def cifar(shared) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The JPEG copy of CIFAR-10: uint8 [N, 3, 32, 32] and labels; 2,000 test images."""
    folder: dict[str, tuple[list, list]] = {"train": ([], []), "test": ([], [])}
    with tarfile.open(shared / "data" / "cifar10-jpeg.tar.gz") as archive:
        classes: dict[str, int] = {}
        for member in archive:
            parts = member.name.split("/")
            if len(parts) != 4 or not member.isfile():
                continue
            label = classes.setdefault(parts[2], len(classes))
            file = archive.extractfile(member)
            assert file is not None
            if parts[1] == "test" and int(parts[3].split(".")[0]) % 5:
                continue
            pixels = np.asarray(Image.open(io.BytesIO(file.read())).convert("RGB")).transpose(2, 0, 1)
            folder[parts[1]][0].append(pixels)
            folder[parts[1]][1].append(label)
    return {split: (np.stack(images), np.array(labels)) for split, (images, labels) in folder.items()}


class Small(nn.Module):
    """A network that learns CIFAR-10 in minutes on one core."""

    def __init__(self) -> None:
        super().__init__()
        layers, i = [], 3
        for o, stride in [(16, 1), (24, 2), (32, 1), (48, 2), (64, 2)]:
            layers += [nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU()]
            i = o
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 16, 10))

    def forward(self, x):
        return self.body((x - 0.47) / 0.25)


@pytest.fixture(scope="module")
def small(cifar, tmp_path_factory) -> tuple[nn.Module, Target]:
    """An undefended model and its exported file."""
    torch.manual_seed(0)
    model, epochs, size = Small(), 2, 128
    images, labels = (torch.from_numpy(a) for a in cifar["train"])
    optimiser = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    steps = epochs * (len(images) // size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.1, total_steps=steps)
    for _ in range(epochs):
        for part in torch.randperm(len(images))[: len(images) // size * size].split(size):
            batch = images[part].float() / 255
            batch = batch.flip(3) if torch.rand(()) < 0.5 else batch
            loss = nn.functional.cross_entropy(model(batch), labels[part])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    model.eval().requires_grad_(False)
    path = tmp_path_factory.mktemp("cifar") / "small.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model, (torch.rand(2, 3, 32, 32),), str(path), dynamo=False, opset_version=18,
            input_names=["x"], output_names=["y"], dynamic_axes={"x": {0: "n"}, "y": {0: "n"}},
        )  # fmt: skip
    return model, Target(open_model(path))


@pytest.mark.full
@pytest.mark.parametrize(("norm", "radius"), [("linf", 1 / 255), ("linf", 8 / 255), ("l2", 0.15)])
@pytest.mark.parametrize("name", ["apgd-ce", "apgd-t", "fab-t", "square"])
def test_cifar(name, norm, radius, cifar, small):
    """512 images at the published budget (FAB: three classes): within a point of each other."""
    model, target = small
    pixels, labels = cifar["test"]
    chosen = np.random.default_rng(0).permutation(len(labels))[:512]
    images, labels = np.ascontiguousarray(pixels[chosen] / 255, np.float32), labels[chosen]
    right = decide(target.answer(images).scores) == labels
    assert right.mean() > 0.5
    ball, budget = sphere(norm, radius), Budget(rivals=3 if name == "fab-t" else 9)
    us = ours(name, budget, target, images[right], labels[right], ball).sum() / 512
    them = theirs(name, budget, model, images[right], labels[right], ball).sum() / 512
    print(f"{name} {norm} {radius:.4f}: clean {right.mean():.4f}, ours {us:.4f}, pyautoattack {them:.4f}")
    assert abs(us - them) <= 0.01


@pytest.mark.full
@pytest.mark.parametrize("radius", [1 / 255, 8 / 255])
def test_the_whole_ensemble_on_cifar(radius, cifar, small, tmp_path):
    """`--protocol standard` as an audit of the file, against their standard version: within half a point."""
    from pyautoattack import AutoAttack

    model, target = small
    pixels, labels = cifar["test"]
    chosen = np.sort(np.random.default_rng(0).permutation(len(labels))[:512])
    np.savez(tmp_path / "set.npz", images=pixels[chosen].transpose(0, 2, 3, 1), labels=labels[chosen])
    settings = Settings(
        protocol=resolve("standard", epsilons=[radius]), data=str(tmp_path / "set.npz"), limit=0
    )
    report = robustness(target.model, settings).report
    us = report.rows[-1].accuracy
    images = torch.from_numpy(np.ascontiguousarray(pixels[chosen] / 255, np.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        attack = AutoAttack(model, norm="Linf", eps=radius, seed=0, version="standard")
        out = attack.run_standard_evaluation(images, torch.from_numpy(labels[chosen]), batch_size=256)
    with torch.no_grad():
        survivors = model(out[0] if isinstance(out, tuple) else out).argmax(1).numpy() == labels[chosen]
    them = float(survivors.mean())
    print(f"standard {radius:.4f}: clean {report.clean.accuracy:.4f}, ours {us:.4f}, pyautoattack {them:.4f}")
    assert abs(us - them) <= 0.005
