"""Finished studies, written by hand: no figure needs one that was trained here."""

import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from vivavoce.artifacts import LabelBank
from vivavoce.audit.report import Report, load_report, pack_bits
from vivavoce.audit.statistics import wilson
from vivavoce.images.classes import CLASSES
from vivavoce.study.cell import AuditPlan, Cell, Result
from vivavoce.study.figures.style import Style
from vivavoce.study.methods import vectors
from vivavoce.study.plan import Grid, Plan
from vivavoce.study.records import Records, open_study
from vivavoce.train.epoch import Epoch
from vivavoce.train.run import load_trained, save_tensors, snapshot

EPOCHS = 4
EPSILONS = (0.0, 0.1, 0.2)
SEEDS = (0, 1)
DIGITS = tuple("0123456789")


@pytest.fixture
def style():
    """The light style, in force."""
    light = Style()
    with light.applied():
        yield light


@pytest.fixture(scope="session")
def write():
    """Write a plan and its finished cells into a folder; `fill(cell, folder)` adds what else they hold."""

    def written(folder: Path, plan: Plan, fill, unfinished=()) -> Records:
        (folder / "study.json").write_bytes(msgspec.json.encode(plan))
        for record in open_study(folder).records:
            record.folder.mkdir(parents=True)
            fill(record.cell, record.folder)
            if record.cell.name not in unfinished:
                result = Result(
                    {"validation": 0.5, "test": accuracy(record.cell)}, EPOCHS, EPOCHS, 1.0, "here"
                )
                (record.folder / "result.json").write_bytes(msgspec.json.encode(result))
        return open_study(folder)

    return written


def accuracy(cell: Cell) -> float:
    """Of a made-up cell on the test part."""
    return 0.4 + 0.004 * cell.level + 0.02 * cell.seed - 0.1 * (cell.kind == "constant")


def history(cell: Cell, folder: Path) -> None:
    """Epochs whose figures tell cell and epoch."""
    lines = []
    for epoch in range(1, EPOCHS + 1):
        right = accuracy(cell) * epoch / EPOCHS
        lines.append(
            Epoch(
                epoch, learning_rate=0.1, train_loss=10 / epoch, validation_loss=1.0,
                validation_accuracy=right, seconds=1.0,
                test_accuracy=right, test_accuracy_train_mode=right / 2,
            )
        )  # fmt: skip
    (folder / "history.jsonl").write_bytes(b"\n".join(map(msgspec.json.encode, lines)))


def some(share: float, n: int) -> str:
    """The flags of a share of n images, the first ones."""
    return pack_bits(np.arange(n) < round(share * n))


def report(cell: Cell, template: Report, n: int = 100) -> Report:
    """An audit in which accuracy falls by a tenth of all images for every tenth of epsilon."""
    speaks = cell.kind != "category"
    clean = accuracy(cell)
    attacks = ("fgsm", *(["margin"] if speaks else []))
    protocol = msgspec.structs.replace(
        template.protocol, attacks=attacks, epsilons=EPSILONS, targeted=(False,)
    )
    rows = []
    for attack in attacks:
        for epsilon in EPSILONS:
            left = clean - epsilon
            radius = protocol.ball(epsilon, template.model.manifest.input).radius
            rows.append(
                msgspec.structs.replace(
                    template.rows[0], attack=attack, targeted=False, epsilon=epsilon, accuracy=left,
                    epsilon_pixels=tuple(radius.ravel().tolist()),
                    interval=wilson(round(left * n), n), survivors=some(left, n),
                    survivors_threshold=some(left / 2, n) if speaks else None,
                    accuracy_initially_correct=left / clean,
                    threshold_accuracy=left / 2 if speaks else None,
                    threshold_initially_correct=left / clean if speaks else None,
                )
            )  # fmt: skip
    data = msgspec.structs.replace(template.data, n=n)
    unattacked = msgspec.structs.replace(
        template.clean,
        accuracy=clean,
        interval=wilson(round(clean * n), n),
        threshold=clean / 2 if speaks else None,
        near=some(clean / 2, n) if speaks else None,
    )
    images = [
        msgspec.structs.replace(image, clean=image.label if k < round(clean * n) else (image.label + 1) % 10)
        for k, image in enumerate(template.images[:n])
    ]
    return msgspec.structs.replace(
        template,
        rows=tuple(rows),
        data=data,
        clean=unattacked,
        protocol=protocol,
        images=tuple(images),
    )


@pytest.fixture(scope="session")
def template(repository) -> Report:
    """A report to change."""
    return load_report(repository / "artifacts" / "models" / "digits-speech.json")


@pytest.fixture(scope="session")
def fill_labels(template, runs):
    """Fill a cell of a study of labels: configuration, bank, epochs, an audit."""

    def fill(cell: Cell, folder: Path) -> None:
        history(cell, folder)
        shutil.copy(runs / "digits-category" / "run.json", folder)
        if cell.kind == "speech":
            shutil.copy(runs / "digits-speech" / "bank.npz", folder)
        elif cell.kind == "constant":
            labels = np.tile(np.arange(10, dtype=np.float32)[:, None, None], (1, 8, 8))
            LabelBank("constant", labels, DIGITS).save(folder / "bank.npz")
        for audit in cell.audit:
            (folder / audit.report).write_bytes(report(cell, template).to_json())

    return fill


@pytest.fixture
def label_plan() -> Plan:
    """Three kinds, two amounts of data, two seeds."""
    grid = Grid(("digits",), (10, 100), ("resnet8",), SEEDS, ("category", "speech", "constant"))
    figures = ("robustness", "labels", "curves")
    return Plan(name="made", title="Made up", grid=grid, figures=figures, audit=(AuditPlan("paper"),))


@pytest.fixture
def labels(tmp_path, label_plan, write, fill_labels) -> Records:
    """A finished study of labels."""
    return write(tmp_path, label_plan, fill_labels)


@pytest.fixture
def one_seed(tmp_path, label_plan, write, fill_labels) -> Records:
    """The same with one seed, and one data level."""
    grid = msgspec.structs.replace(label_plan.grid, seed=(0,), level=(100,))
    return write(tmp_path, msgspec.structs.replace(label_plan, grid=grid), fill_labels)


@pytest.fixture
def methods(tmp_path, write) -> Records:
    """A finished study of methods on CIFAR-10's classes."""

    def fill(cell: Cell, folder: Path) -> None:
        assert cell.method is not None
        history(cell, folder)
        path = folder / vectors(cell.method)
        path.parent.mkdir(exist_ok=True)
        rows = np.random.default_rng(len(cell.method)).normal(size=(10, 6)).astype(np.float32)
        LabelBank("learned", rows, CLASSES["cifar10"]).save(path)

    grid = Grid(("cifar10",), seed=(12, 123), method=("std", "lwr3", "lwr3-port", "lwal"))
    plan = Plan(name="learned", title="Learned", grid=grid, figures=("dendrograms", "learned-curves"))
    return write(tmp_path, plan, fill)


@pytest.fixture
def trained(tmp_path, write, runs) -> Records:
    """The runs behind the shipped models as a study's cells; halfway their weights were half as large."""

    def fill(cell: Cell, folder: Path) -> None:
        shutil.copytree(runs / f"digits-{cell.kind}", folder, dirs_exist_ok=True)
        config, _, model, _ = load_trained(folder)
        whole = model.state_dict()
        total = config.recipe.epochs
        floats = {k: v / 2 if v.is_floating_point() else v for k, v in whole.items()}
        save_tensors(snapshot(folder, round(total / 2)), floats, {})
        save_tensors(snapshot(folder, total), whole, {})

    grid = Grid(("digits",), seed=(1,), label=("category", "speech"))
    return write(tmp_path, Plan(name="made", title="Made up", grid=grid, snapshots=(0.5, 1.0)), fill)


@pytest.fixture(autouse=True)
def one_thread():
    """Small networks, and other tests beside."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
