"""What is worth knowing on a GPU, in under ten minutes: gradients, attacks, and training.

    python tests/benchmarks/gpu.py [--seconds 6] [--dataset cifar10] [--epochs 40] [--device cuda]

- Gradients of networks with random weights against torch: eager, channels last, bfloat16 and compiled.
- PGD with 10 steps against torchattacks, on ResNet-32.
- `standard` on a shipped robust model and its digits against pyautoattack on a torch copy of it.
- Training steps of ResNet-32 with the label decoder against a plain loop.
- With --dataset: the test accuracy of a one-hot `airbench` after --epochs, and the time that it took.

Contestants take turns, and the device has finished before a clock stops. A figure is the median of their time
over ours. `--device cpu --seconds 1` tries the script where there is no GPU.
"""

import argparse
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
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
from vivavoce.gradient import InputGradient
from vivavoce.images import open_images

ROWS = {"resnet32": (512, 32), "label32": (512, 32), "vit192": (256, 32), "resnet50": (64, 224),
        "convnext_tiny": (32, 224), "efficientnet_b0": (64, 224)}  # fmt: skip
"""Batch and image size of each network."""
SUBJECT, RADIUS, IMAGES = "digits-robust-category", 0.1, 200


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
    module = module.to(device)
    last: Any = build(name).to(device)
    last = last.to(memory_format=torch.channels_last)
    compiled = torch.compile(module)
    x, y = torch.from_numpy(images), torch.from_numpy(goals)

    def theirs(network, memory: torch.memory_format, half: bool = False) -> Callable[[], object]:
        def run() -> object:
            given = x.to(device, memory_format=memory)
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                return torch_gradient(network, given, y.to(device)).cpu()

        return finished(run, device)

    plain, channels = torch.contiguous_format, torch.channels_last
    return {
        "ours": lambda: ours(images, goals),
        "torch": theirs(module, plain),
        "channels_last": theirs(last, channels),
        "bf16": theirs(last, channels, half=True),
        "compiled": theirs(compiled, plain),
    }


def attacks(device: torch.device, shrink: int) -> Contest:
    """PGD on ResNet-32, from the image itself."""
    import torchattacks

    images, goals = drawn("resnet32", shrink)
    module = build("resnet32")
    ours = InputGradient(to_onnx(module, size=images.shape[-1]), "cross-entropy", device=device.type)
    pgd = torchattacks.PGD(module.to(device), eps=EPSILON, alpha=EPSILON / 4, steps=STEPS, random_start=False)
    pgd.set_device(device)
    x, y = torch.from_numpy(images), torch.from_numpy(goals)
    return {
        "ours": lambda: our_attack(ours, images, goals, STEPS),
        "torchattacks": finished(lambda: pgd(x.to(device), y.to(device)), device),
    }


def ensemble(device: torch.device, count: int) -> None:
    """`standard` and pyautoattack, once each, on the images that ship."""
    images = open_images("digits")
    indices = images.sample(count, 0)
    subject = robust_models.Subject(
        SUBJECT, open_model(SUBJECT, device=device.type), images, indices, RADIUS, device.type
    )
    for protocol in ("standard", "pyautoattack"):
        started = time.perf_counter()
        standing, gradient_count, queries = subject.run(protocol, indices)
        seconds = time.perf_counter() - started
        print(
            f"{protocol:14} {SUBJECT} x{len(indices)}: {100 * np.mean(standing):.1f} %, {seconds:.1f} s, "
            f"{gradient_count} gradients, {queries} queries",
            flush=True,
        )


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
    shrink = 1 if device.type == "cuda" else 32
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    packages = ", ".join(f"{p} {version(p)}" for p in ("torch", "torchattacks", "pyautoattack"))
    print(f"{name}; {packages}")
    for network in options.only:
        count = len(drawn(network, shrink)[0])
        show(f"gradient {network} x{count}", race(gradients(network, device, shrink), options.seconds))
    show(f"PGD-{STEPS} resnet32", race(attacks(device, shrink), options.seconds))
    ensemble(device, IMAGES // shrink or 1)
    sys.argv[1:] = ["--device", device.type, "--seconds", str(options.seconds)]
    training_speed.main()
    if options.dataset:
        sys.argv[1:] = ["--dataset", options.dataset, "--label", "category", "--encoder", "airbench",
                        "--recipe", "airbench", "--epochs", str(options.epochs)]  # fmt: skip
        time_to_accuracy.main()
    print(f"{time.perf_counter() - began:.0f} s in all")


if __name__ == "__main__":
    main()
