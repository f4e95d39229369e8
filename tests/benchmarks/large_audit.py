"""CPU seconds of an audit of a ResNet-50 at 224 pixels: until its first figure, attacks, diagnosis.

    python tests/benchmarks/large_audit.py [--limit 100] [--protocol quick] [--keep FOLDER]

The network has random weights. Its batch normalisation is fitted to the images, and its own decisions are the
labels, so that it has learned nothing and is right on every image: an ordinary, undefended network.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from networks import K, to_onnx

SIDE = 224


def pictures(count: int) -> np.ndarray:
    """Smooth random images, uint8 [count, SIDE, SIDE, 3]: noise of several scales."""
    rng = np.random.default_rng(0)
    found = np.zeros((count, SIDE, SIDE, 3))
    for cells in (4, 14, 56, 224):
        noise = rng.normal(size=(count, cells, cells, 3)).astype(np.float32)
        smooth = nn.functional.interpolate(
            torch.from_numpy(noise).permute(0, 3, 1, 2), size=(SIDE, SIDE), mode="bicubic"
        )
        found += smooth.permute(0, 2, 3, 1).numpy() * 60 / cells**0.5
    return np.clip(np.rint(found + 128), 0, 255).astype(np.uint8)


def made(folder: Path, count: int) -> None:
    """Write the network and its data set."""
    from torchvision.models import resnet50

    torch.manual_seed(0)
    network = resnet50(weights=None, num_classes=K)
    pixels = pictures(count)
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None  # the average over all batches
    with torch.no_grad():
        for part in images.split(16):
            network.train()(part)
        network.eval()
        scores = torch.cat([network(part) for part in images.split(16)])
        network.fc.bias.sub_(scores.mean(0)).div_(scores.std())
        network.fc.weight.div_(scores.std())
        decisions = torch.cat([network(part) for part in images.split(16)]).argmax(1)
    (folder / "resnet50.onnx").write_bytes(
        to_onnx(network.requires_grad_(False), size=SIDE).SerializeToString()
    )
    for k, (picture, decision) in enumerate(zip(pixels, decisions.tolist(), strict=True)):
        place = folder / "data" / str(decision)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(place / f"{k:04}.png")
    for k in range(K):
        (folder / "data" / str(k)).mkdir(exist_ok=True)


def measured(folder: Path, protocol: str, limit: int) -> None:
    """Audit it, and print what each part took."""
    began, wall = time.process_time(), time.perf_counter()
    from vivavoce.artifacts import open_model
    from vivavoce.audit.plan import Settings
    from vivavoce.audit.protocol import resolve
    from vivavoce.audit.run import robustness

    marks: dict[str, float] = {}

    def mark(what: str, done: int, steps: int) -> None:
        part = "attacks" if steps else what.partition(":")[0]
        marks.setdefault(f"first of {part}", time.process_time() - began)
        marks.setdefault(f"first of {part}, wall", time.perf_counter() - wall)
        if not steps:
            marks.setdefault(what, time.process_time() - began)

    settings = Settings(protocol=resolve(protocol), data=str(folder / "data"), limit=limit)
    audit = robustness(open_model(str(folder / "resnet50.onnx")), settings, mark)
    end = time.process_time() - began
    for name, seconds in marks.items():
        print(f"{seconds:8.1f} s  {name}")
    diagnosis = end - marks["first of diagnosis"]
    print(f"{end:8.1f} s  end, {time.perf_counter() - wall:.1f} s wall, diagnosis {diagnosis / end:.0%}")
    for row in audit.report.rows:
        print(row.attack, row.epsilon, row.accuracy, row.gradient_evaluations, row.queries, row.seconds)
    print(audit.report.verdict)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--protocol", default="quick")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = options.keep or Path(folder)
        if not (home / "resnet50.onnx").exists():
            home.mkdir(parents=True, exist_ok=True)
            made(home, max(options.limit, 100))
        measured(home, options.protocol, options.limit)


if __name__ == "__main__":
    main()
