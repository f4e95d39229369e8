"""Real files whose robustness formal verifiers have settled: a proof that none exists, or that one does."""

import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vivavoce.artifacts import decide, open_model
from vivavoce.artifacts.preprocessing import Preprocessing
from vivavoce.audit.attacks.apgd import APGD
from vivavoce.audit.attacks.base import Attack, Ball, Goal
from vivavoce.audit.attacks.catalogue import ATTACKS
from vivavoce.audit.attacks.fab import FAB
from vivavoce.audit.attacks.square import Square
from vivavoce.audit.attacks.streams import Streams
from vivavoce.audit.protocol import PROTOCOLS
from vivavoce.audit.target import Target
from vivavoce.images.imageset import to_float

pytestmark = pytest.mark.full

LONG: list[Attack] = [
    APGD(), APGD("targeted-dlr"), APGD("margin", restarts=3), FAB(), Square(200),
]  # fmt: skip
ENSEMBLES = {"long": LONG, "fast": [ATTACKS[name] for name in PROTOCOLS["fast"].attacks]}


@dataclass
class Row:
    """One image of one set."""

    file: Path
    label: int
    target: int | None
    truth: str
    strict: bool


def read_sets(folder: Path) -> dict[tuple[str, float], list[Row]]:
    """Rows by model and exact epsilon (in 255ths); the folders' names round it."""
    with (folder / "truth.csv").open() as file:
        truth = list(csv.DictReader(file))
    sets = {}
    for path in sorted((folder / "sets").iterdir()):
        model, rounded = path.name.removesuffix("of255").rsplit("__eps", 1)
        exact = (float(row["eps_255"]) for row in truth if row["model"] == f"{model}.onnx")
        epsilon = min(e for e in exact if abs(e - float(rounded)) <= 5e-4 * max(float(rounded), 0.1))
        with (path / "labels.csv").open() as file:
            sets[model, epsilon] = [
                Row(
                    path / r["file"],
                    int(r["label"]),
                    int(r["target"]) if r["target"] else None,
                    r["truth"],
                    r["strict"] == "1",
                )
                for r in csv.DictReader(file)
            ]
    return sets


def open_target(folder: Path, model: str) -> Target:
    with (folder / "truth.csv").open() as file:
        row = next(r for r in csv.DictReader(file) if r["model"] == f"{model}.onnx")
    mean, std = (tuple(float(v) for v in row[key].split(" (")[0].split(",")) for key in ("mean", "std"))
    options = Preprocessing(mean=mean, std=std, layout="nhwc" if row["layout"] == "NHWC" else None)
    return Target(open_model(folder / "onnx" / f"{model}.onnx", options))


def pixels(file: Path, channels: int) -> np.ndarray:
    with Image.open(file) as image:
        array = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    return array.reshape(*array.shape[:2], channels)


def broken(
    target: Target, rows: list[Row], epsilon: float, ensemble: list[Attack]
) -> tuple[np.ndarray, np.ndarray]:
    """Decided rightly when clean, and reached by some attack as confirmed by the file: bool [N] each."""
    channels = target.model.manifest.input.channels
    images = to_float(np.stack([pixels(row.file, channels) for row in rows]))
    labels = np.array([row.label for row in rows])
    targeted = rows[0].target is not None
    goal = Goal(labels, np.array([row.target for row in rows]) if targeted else None)
    ball = Ball("linf", np.full((channels, 1, 1), epsilon / 255, np.float32))
    right = decide(target.answer(images).scores) == labels
    reached = np.zeros(len(rows), bool)
    for attack in ensemble:
        left = np.flatnonzero(~reached)
        if len(left) == 0:
            break
        streams = Streams.of(0, attack.name, left)
        (out,) = attack.sweep(target, images[left], goal.part(left), [ball], streams)
        out = ball.confine(out, images[left])
        reached[left] = goal.part(left).reached(target.answer(out).scores)
    return right, reached


@pytest.mark.parametrize("name", ENSEMBLES)
def test_proofs(name, shared):
    """No success against a proof; success on all untargeted `sat` rows and 30 of 32 targeted ones."""
    folder, counts, successes, wrong = shared / "third-party", Counter(), Counter(), []
    targets: dict[str, Target] = {}
    for (model, epsilon), rows in read_sets(folder).items():
        target = targets.setdefault(model, open_target(folder, model))
        right, reached = broken(target, rows, epsilon, ENSEMBLES[name])
        print(f"{model} {epsilon:g}: {reached.sum()} of {len(rows)} broken", flush=True)
        assert right.all(), f"{model}: the clean images are not all right: misread"
        for row, success in zip(rows, reached, strict=True):
            kind = (row.truth, "strict" if row.strict else "", "targeted" if row.target is not None else "")
            counts[kind] += 1
            successes[kind] += int(success)
            if (success and row.truth == "unsat") or (not success and row.truth == "sat"):
                wrong.append(f"{model} {epsilon:g} {row.file.name}: {'' if success else 'not '}broken")
    for kind, count in sorted(counts.items()):
        print(*kind, f"{successes[kind]} of {count}")
    print(*wrong, sep="\n")
    assert counts["unsat", "strict", ""] == 96
    assert successes["unsat", "strict", ""] == 0
    assert successes["sat", "strict", ""] == counts["sat", "strict", ""] == 9
    assert counts["sat", "strict", "targeted"] == 32
    assert successes["sat", "strict", "targeted"] >= 30
