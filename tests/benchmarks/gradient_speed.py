"""How fast the input gradient is, and whole attacks on it, against torch and the attack libraries.

    python tests/benchmarks/gradient_speed.py [--seconds 15] [--threads 2] [--only resnet32 ...]

Everything in a row runs in turn, round after round, so that noise on the machine meets all alike; a
figure is the median over the rounds of (their time / ours): above 1, ours is faster. `limit` is twice
onnxruntime's own forward pass, below which no gradient by back-propagation can get.
"""

import argparse
import platform
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from networks import K, LabelModel, network, to_onnx

from vivavoce.artifacts.runtime import make_session
from vivavoce.gradient import InputGradient

ROWS = {
    "resnet32": (64, 32),
    "label32": (128, 32),
    "vgg19": (32, 32),
    "vit192": (32, 32),
    "resnet50": (4, 224),
    "convnext_tiny": (2, 224),
    "efficientnet_b0": (8, 224),
    "mobilenet_v3_large": (8, 224),
}
"""Batch and image size of each network."""

EPSILON, STEPS = 8 / 255, 10
PAUSE = 0.02
"""Seconds before each turn, so that nobody pays for the threads of the one before, which wait awake."""

Contest = dict[str, Callable[[], object]]


def build(name: str) -> torch.nn.Module:
    if ROWS[name][1] == 224:
        from torchvision.models import get_model

        return get_model(name, weights=None, num_classes=K).eval().requires_grad_(False)
    return network(name)


def torch_gradient(module: Any, images: torch.Tensor, goals: torch.Tensor) -> torch.Tensor:
    x = images.clone().requires_grad_(True)
    outputs = module(x)
    if isinstance(outputs, tuple):
        bank = next(b for name, b in module.named_buffers() if name.endswith("label_bank"))
        loss = F.smooth_l1_loss(outputs[1], bank[goals], reduction="none").mean((1, 2)).sum()
    else:
        loss = F.cross_entropy(outputs, goals, reduction="sum")
    return torch.autograd.grad(loss, x)[0]


def raw_onnx_ad(model: onnx.ModelProto, images: np.ndarray, threads: int) -> Callable[[], object]:
    """The model's vector-Jacobian product by onnx-ad, as it comes, seeded with ones."""
    import onnx_ad

    seeded = next(o.name for o in model.graph.output)
    reverse = onnx_ad.reverse(model, outputs=[seeded], layout="onnx")
    loaded = make_session(reverse.SerializeToString(), threads=threads)
    forward = make_session(model.SerializeToString(), threads=threads)
    shape = np.asarray(forward.run([seeded], {"image": images})[0]).shape
    seed = np.ones((*shape, 1), np.float32)
    return lambda: loaded.run(["adj_image"], {"image": images, f"adj_{seeded}": seed})


def gradient_contest(name: str, threads: int, compiled: bool) -> Contest:
    batch, size = ROWS[name]
    module = build(name)
    loss = "smooth-l1" if isinstance(module, LabelModel) else "cross-entropy"
    rng = np.random.default_rng(0)
    images, goals = rng.random((batch, 3, size, size), dtype=np.float32), rng.integers(0, K, batch)
    x, y = torch.from_numpy(images), torch.from_numpy(goals)
    last: Any = build(name)
    last = last.to(memory_format=torch.channels_last)
    model = to_onnx(module, size=size)
    ours = InputGradient(model, loss, threads=threads)
    forward = make_session(model.SerializeToString(), threads=threads)
    contest: Contest = {
        "ours": lambda: ours(images, goals),
        "torch": lambda: torch_gradient(module, x, y),
        "channels_last": lambda: torch_gradient(last, x.to(memory_format=torch.channels_last), y),
        "limit": lambda: [forward.run(None, {"image": images}) for _ in range(2)],
    }
    if compiled:
        fast = torch.compile(module)
        contest["compiled"] = lambda: torch_gradient(fast, x, y)
    fixed = to_onnx(module, size=size, dynamic=False, batch=batch)
    try:
        contest["onnx-ad"] = raw_onnx_ad(fixed, images, threads)
    except Exception as error:  # whatever a peer cannot do is its own column's dash
        print(f"  onnx-ad on {name}: {type(error).__name__}: {str(error).splitlines()[0][:100]}")
    return contest


def our_attack(gradient: InputGradient, images: np.ndarray, goals: np.ndarray, steps: int) -> np.ndarray:
    """Projected gradient ascent from the image itself; one step is FGSM."""
    alpha = EPSILON if steps == 1 else EPSILON / 4
    low, high = np.maximum(images - EPSILON, 0), np.minimum(images + EPSILON, 1)
    x = images
    for _ in range(steps):
        x = np.minimum(np.maximum(x + alpha * np.sign(gradient(x, goals)[1]), low), high)
    return x


def attack_contest(name: str, steps: int, threads: int, imported: bool) -> Contest:
    """Our attack on the file against three libraries, on the model or on the file through onnx2torch."""
    import foolbox
    import torchattacks
    from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescent
    from art.estimators.classification import PyTorchClassifier

    batch, size = ROWS[name]
    module = build(name)
    model = to_onnx(module, size=size)
    if imported:
        import onnx2torch

        module = onnx2torch.convert(to_onnx(module, size=size, opset=13)).eval().requires_grad_(False)
    rng = np.random.default_rng(0)
    images, goals = rng.random((batch, 3, size, size), dtype=np.float32), rng.integers(0, K, batch)
    x, y, alpha = torch.from_numpy(images), torch.from_numpy(goals), EPSILON / 4
    ours = InputGradient(model, "cross-entropy", threads=threads)
    fool = foolbox.models.pytorch.PyTorchModel(module, bounds=(0, 1), device="cpu")
    shape = (3, size, size)
    art = PyTorchClassifier(
        module, torch.nn.CrossEntropyLoss(), shape, K, clip_values=(0, 1), device_type="cpu"
    )
    if steps == 1:
        one, two = foolbox.attacks.FGSM(), torchattacks.FGSM(module, eps=EPSILON)
        three = FastGradientMethod(art, eps=EPSILON, batch_size=batch)
    else:
        one = foolbox.attacks.LinfPGD(abs_stepsize=alpha, steps=steps, random_start=False)
        two = torchattacks.PGD(module, eps=EPSILON, alpha=alpha, steps=steps, random_start=False)
        three = ProjectedGradientDescent(art, eps=EPSILON, eps_step=alpha, max_iter=steps, batch_size=batch,
                                         verbose=False)  # fmt: skip
    return {
        "ours": lambda: our_attack(ours, images, goals, steps),
        "foolbox": lambda: one(fool, x, y, epsilons=EPSILON),
        "torchattacks": lambda: two(x, y),
        "ART": lambda: three.generate(images, y=goals),
    }


def race(contest: Contest, seconds: float) -> dict[str, float]:
    """Median over the rounds of each contestant's time over ours; `ms` is our median time."""
    times: dict[str, list[float]] = {name: [] for name in contest}
    for run in contest.values():
        run()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times["ours"]) < 5:
        for name, run in contest.items():
            time.sleep(PAUSE)
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    ours = np.array(times["ours"])
    ratios = {name: float(np.median(np.array(t) / ours)) for name, t in times.items() if name != "ours"}
    return {"ms": float(np.median(ours)) * 1e3, "rounds": len(ours), **ratios}


def show(title: str, found: dict[str, float]) -> None:
    figures = "  ".join(
        f"{name} {value:.2f}" for name, value in found.items() if name not in ("ms", "rounds")
    )
    print(f"{title:34} ours {found['ms']:8.1f} ms (n={found['rounds']:.0f})  {figures}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="*", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--compile", action="store_true", help="also torch.compile, which takes minutes")
    parser.add_argument("--attacks", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(options.threads)
    packages = ", ".join(f"{p} {version(p)}" for p in ("torch", "onnxruntime", "onnx-ad", "foolbox"))
    print(f"{platform.processor() or platform.machine()}, {options.threads} threads; {packages}")
    for name in options.only:
        contest = gradient_contest(name, options.threads, options.compile)
        show(f"gradient {name} x{ROWS[name][0]}", race(contest, options.seconds))
    if options.attacks and "resnet32" in options.only:
        for steps in (1, STEPS):
            for imported in (False, True):
                attack = "FGSM" if steps == 1 else f"PGD-{steps}"
                title = f"{attack}, {'onnx2torch' if imported else 'torch model'}"
                contest = attack_contest("resnet32", steps, options.threads, imported)
                show(title, race(contest, options.seconds))


if __name__ == "__main__":
    main()
