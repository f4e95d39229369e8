"""The first digits of the data set that ships, for runs of a few seconds."""

import msgspec
import numpy as np
import torch

from vivavoce.artifacts import LabelBank
from vivavoce.train import run
from vivavoce.train.data import Split, Splits, open_splits
from vivavoce.train.loop import Trainer
from vivavoce.train.recipes import resolve
from vivavoce.train.setup import Choices, configure

CPU = torch.device("cpu")


def pixels(part: Split) -> np.ndarray:
    """The images of a part that is in memory: uint8 [N, 3, H, W]."""
    assert isinstance(part.images, np.ndarray)
    return part.images


def few_digits(train: int, held: int) -> Splits:
    """So many training images, and `held` images each for validation and test."""
    whole = open_splits("digits", 0)
    first, second, third = (
        Split(part.images[:count], part.classes[:count])
        for part, count in ((whole.train, train), (whole.validation, held), (whole.test, held))
    )
    return Splits("digits", "digits", whole.classes, first, second, third, whole.mean, whole.std, False)


def bank_of(splits: Splits) -> LabelBank:
    labels = np.random.default_rng(0).uniform(-80, 0, (10, 16, 16)).astype(np.float32)
    return LabelBank("speech", labels, splits.classes)


def start(
    folder,
    splits,
    bank,
    epochs=3,
    resume=False,
    encoder="resnet8",
    recipe="fast",
    plan=None,
    **changes,
) -> Trainer:
    fields = {"epochs": epochs, "batch_size": 32, "flip": False, "precision": "float32", **changes}
    chosen = resolve(recipe, bank is not None, encoder, fields)
    label = "speech" if bank else "category"
    config = configure(Choices("digits", label, encoder=encoder), chosen, splits, bank)
    config = msgspec.structs.replace(config, adversarial=plan)
    run.begin(folder, config, bank, resume)
    return Trainer(config, bank, splits, folder, CPU)


def silent(*_):
    pass


class Stopped(Exception):
    """Ends a run as a test wants it."""


def stop_in_the_third_epoch(step: int, steps: int, loss: float) -> None:
    """Report the progress of a run of three epochs by ending it."""
    if step == 2 * steps // 3 + 1:
        raise Stopped
