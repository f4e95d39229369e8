"""What is worth knowing on a GPU, in under ten minutes: gradients, attacks, and training.

    python tests/benchmarks/gpu.py [--seconds 6] [--dataset cifar10] [--epochs 40] [--device cuda]

- The card, its memory, and the batch that an audit would choose for each network.
- Gradients of networks with random weights against torch: eager, channels last, bfloat16 and compiled. Images
  and gradients stay on the device; `host` is ours with images and gradients of numpy.
- PGD with 10 steps on ResNet-32 against torchattacks, ours with arrays on the device and with those of numpy.
- Our PGD and APGD on a shipped robust model, likewise, and how far their images are from each other.
- `standard` on that model against pyautoattack on a torch copy of it.
- Training steps of ResNet-32 with the label decoder against a plain loop.
- With --dataset: the test accuracy of a one-hot `airbench` after --epochs, and the time that it took.

Contestants take turns, and the device has finished before a clock stops. A figure is the median of their time
over ours. What is not installed is left out, and a part that fails leaves the others alone; a line says so.
`--device cpu --seconds 0.2` tries the script where there is no GPU.
"""

import argparse
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
import robust_models
import time_to_accuracy
import training_speed
from gradient_speed import EPSILON, STEPS, Contest, build, our_attack, race, show, torch_gradient
from networks import K, LabelModel, to_onnx

from vivavoce.artifacts import open_model
from vivavoce.artifacts.device import DeviceArray, on_host
from vivavoce.audit import room
from vivavoce.audit import target as targets
from vivavoce.audit.attacks.apgd import APGD
from vivavoce.audit.attacks.base import Attack, Ball, Goal
from vivavoce.audit.attacks.pgd import PGD
from vivavoce.audit.attacks.streams import Streams
from vivavoce.gradient import InputGradient
from vivavoce.gradient.card import card_budget, free_on_card
from vivavoce.gradient.memory import fitting
from vivavoce.images import Fit, open_images
from vivavoce.images.imageset import to_float

ROWS = {"resnet32": (512, 32), "label32": (512, 32), "vit192": (256, 32), "resnet50": (64, 224),
        "convnext_tiny": (32, 224), "efficientnet_b0": (64, 224)}  # fmt: skip
"""Batch and image size of each network."""
COMPILED = ("resnet32", "vit192", "resnet50")
"""Networks that torch.compile gets too: it takes up to a minute for each."""
SUBJECT, RADIUS, IMAGES = "digits-robust-category", 0.1, 200
ON_CPU = 64
"""How many times fewer images there are without a GPU."""


def finished(run: Callable[[], object], device: torch.device) -> Callable[[], object]:
    """The same call, which returns when the device has done its work."""

    def waiting() -> object:
        result = run()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return result

    return waiting


def drawn(name: str, shrink: int) -> tuple[np.ndarray, np.ndarray]:
    """Random images and classes."""
    batch, size = ROWS[name]
    rng = np.random.default_rng(0)
    count = max(batch // shrink, 1)
    return rng.random((count, 3, size, size), dtype=np.float32), rng.integers(0, K, count)


def gradients(name: str, device: torch.device, shrink: int) -> Contest:
    """Our gradient of a network, and torch's in its usual forms."""
    images, goals = drawn(name, shrink)
    module = build(name)
    loss = "smooth-l1" if isinstance(module, LabelModel) else "cross-entropy"
    ours = InputGradient(to_onnx(module, size=images.shape[-1]), loss, device=device.type)
    on_card = device.type == "cuda"
    budget = card_budget() if on_card else room.MEMORY
    batch = fitting(ours, budget, room.LARGEST_ON_CUDA if on_card else room.LARGEST, images.shape[1:])
    print(f"  {name}: an audit takes {batch} images at a time in {budget / 1e9:.1f} GB")
    module = module.to(device)
    last: Any = build(name).to(device)
    last = last.to(memory_format=torch.channels_last)
    placed = DeviceArray.upload(images, device.type)
    x, y = torch.from_numpy(images).to(device), torch.from_numpy(goals).to(device)

    def theirs(network, memory: torch.memory_format, half: bool = False) -> Callable[[], object]:
        given = x.to(memory_format=memory)

        def run() -> object:
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                return torch_gradient(network, given, y)

        return finished(run, device)

    plain, channels = torch.contiguous_format, torch.channels_last
    contest: Contest = {
        "ours": lambda: ours(placed, goals),
        "host": lambda: ours(images, goals),
        "torch": theirs(module, plain),
        "channels_last": theirs(last, channels),
        "bf16": theirs(last, channels, half=True),
    }
    if on_card and name in COMPILED:
        contest["compiled"] = theirs(torch.compile(module), plain)
    return contest


def attacks(device: torch.device, shrink: int) -> Contest:
    """PGD on ResNet-32, from the image itself to an image on the host."""
    images, goals = drawn("resnet32", shrink)
    module = build("resnet32")
    ours = InputGradient(to_onnx(module, size=images.shape[-1]), "cross-entropy", device=device.type)

    def resident() -> np.ndarray:
        return on_host(our_attack(ours, DeviceArray.upload(images, device.type), goals, STEPS))  # type: ignore[arg-type]

    contest: Contest = {"ours": resident, "host": lambda: our_attack(ours, images, goals, STEPS)}
    if installed("torchattacks"):
        import torchattacks

        pgd = torchattacks.PGD(
            module.to(device), eps=EPSILON, alpha=EPSILON / 4, steps=STEPS, random_start=False
        )
        pgd.set_device(device)
        x, y = torch.from_numpy(images), torch.from_numpy(goals)
        contest["torchattacks"] = finished(lambda: pgd(x.to(device), y.to(device)).cpu(), device)
    return contest


def resident(device: torch.device, count: int, seconds: float) -> None:
    """Our own attacks as audits run them, with arrays on the device and on the host."""
    model = open_model(SUBJECT, device=device.type)
    images = open_images("digits")
    indices = images.sample(count, 0)
    clean, labels = to_float(images.pixels(indices, Fit.of(model.manifest.input))), images.labels[indices]
    ball = Ball("linf", np.full((3, 1, 1), RADIUS, np.float32))
    target = targets.Target(model)
    target.limit(batch := target.fitting_batch())
    print(f"  {SUBJECT}: an audit takes {batch} images at a time")

    def run(attack: Attack, keeping: tuple[str, ...]) -> np.ndarray:
        targets.KEEPING = keeping
        found = []
        for part in (np.arange(k, min(k + batch, count)) for k in range(0, count, batch)):
            streams = Streams.of(0, attack.name, indices[part])
            found.append(next(attack.results(target, clean[part], Goal(labels[part]), [ball], streams)))
        return np.concatenate(found)

    chosen: dict[str, Attack] = {
        "PGD-10": PGD("margin", 10),
        "APGD-CE, 20 steps": APGD(steps=20),
        "APGD-T, 3 x 10 steps": APGD("targeted-dlr", steps=10, rivals=3),
    }
    for name, attack in chosen.items():
        contest: Contest = {
            "ours": lambda attack=attack: run(attack, (device.type,)),
            "host": lambda attack=attack: run(attack, ()),
        }
        show(f"{name} {SUBJECT} x{count}", race(contest, seconds))
        apart = np.abs(run(attack, (device.type,)) - run(attack, ())).max((1, 2, 3))
        print(f"  {(apart == 0).sum()} of {count} images are the same; largest difference {apart.max():.2g}")
    targets.KEEPING = ("cuda",)


def ensemble(device: torch.device, count: int) -> None:
    """`standard` and pyautoattack, once each, on the images that ship."""
    images = open_images("digits")
    indices = images.sample(count, 0)
    subject = robust_models.Subject(
        SUBJECT, open_model(SUBJECT, device=device.type), images, indices, RADIUS, device.type
    )
    for protocol in ("standard", "pyautoattack"):
        if protocol == "pyautoattack" and not installed(protocol):
            continue
        started = time.perf_counter()
        standing, gradient_count, queries = subject.run(protocol, indices)
        seconds = time.perf_counter() - started
        print(
            f"{protocol:14} {SUBJECT} x{len(indices)}: {100 * np.mean(standing):.1f} %, {seconds:.1f} s, "
            f"{gradient_count} gradients, {queries} queries",
            flush=True,
        )


def training(device: torch.device, options: argparse.Namespace) -> None:
    """Training speed, and with a data set the time to an accuracy."""
    sys.argv[1:] = ["--device", device.type, "--seconds", str(options.seconds)]
    training_speed.main()
    if options.dataset:
        sys.argv[1:] = ["--dataset", options.dataset, "--label", "category", "--encoder", "airbench",
                        "--recipe", "airbench", "--epochs", str(options.epochs)]  # fmt: skip
        time_to_accuracy.main()


def installed(package: str) -> str | None:
    """Its version; without it a line says so."""
    try:
        return version(package)
    except PackageNotFoundError:
        print(f"  {package} is not installed; it is left out")
        return None


def part(title: str, run: Callable[[], object]) -> None:
    """Run one part of the benchmark; if it fails, say so and go on."""
    started = time.perf_counter()
    try:
        run()
    except Exception as error:  # whatever fails, the time on the card is for the other parts
        print(f"{title} failed: {type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}")
    free = free_on_card()
    memory = "" if free is None else f", {free / 1e9:.1f} GB of the card are free"
    print(f"  ({title}: {time.perf_counter() - started:.0f} s{memory})", flush=True)


def card(device: torch.device) -> str:
    """The name of the device and its memory."""
    if device.type != "cuda":
        return "CPU"
    total, free = torch.cuda.get_device_properties(0).total_memory, free_on_card()
    known = "unknown" if free is None else f"{free / 1e9:.1f} GB"
    return f"{torch.cuda.get_device_name()}, {total / 1e9:.1f} GB, free {known}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=6, help="of each race")
    parser.add_argument("--dataset", help="CIFAR-10, as `vivavoce train` takes it")
    parser.add_argument("--epochs", type=int, default=40, help="of the run on --dataset")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--only", nargs="*", default=list(ROWS), choices=list(ROWS))
    options = parser.parse_args()
    device, began = torch.device(options.device), time.perf_counter()
    shrink = 1 if device.type == "cuda" else ON_CPU
    runtime = "onnxruntime-gpu" if device.type == "cuda" else "onnxruntime"
    print(card(device), *(f"{p} {installed(p)}" for p in ("torch", runtime)), sep="; ")
    for network in options.only:
        title = f"gradient {network} x{len(drawn(network, shrink)[0])}"
        part(title, lambda network=network, title=title: show(
            title, race(gradients(network, device, shrink), options.seconds)
        ))  # fmt: skip
    part("attacks", lambda: show(f"PGD-{STEPS} resnet32", race(attacks(device, shrink), options.seconds)))
    part("our attacks", lambda: resident(device, IMAGES // shrink, options.seconds))
    part("ensemble", lambda: ensemble(device, IMAGES // shrink))
    part("training", lambda: training(device, options))
    print(f"{time.perf_counter() - began:.0f} s in all")


if __name__ == "__main__":
    main()
