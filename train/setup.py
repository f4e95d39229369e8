"""From what a user chose to a run that is ready to train."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from ..artifacts import LabelBank
from ..errors import VivavoceError
from .backbones import BACKBONES, STATISTICS, Backbone
from .data import SIDE, Splits, open_splits
from .encoders import make_encoder
from .labels import build
from .loop import Trainer
from .parallel import World
from .recipes import Recipe, resolve
from .run import Config, begin, settle_precision


@dataclass(frozen=True)
class Choices:
    """What decides a run, as a user says it."""

    dataset: str
    label: str = "speech"
    encoder: str = "resnet8"
    recipe: str = "fast"
    changes: dict[str, Any] = field(default_factory=dict)
    """Fields of the recipe to change."""
    seed: int = 0
    data_level: int | None = None
    image_size: int = SIDE
    weights: str | None = None
    wavs: Path | None = None
    """Folder of recordings to make the labels from."""
    bank: Path | None = None
    """A bank to take the labels from."""

    def labels(self, classes: tuple[str, ...]) -> LabelBank | None:
        """The label of each class; None for one-hot rows."""
        if self.bank is not None:
            return LabelBank.load(self.bank).matched_to(classes)
        return build(self.label, classes, wavs=self.wavs)


def prepare(choices: Choices, out: Path, device: torch.device, resume: bool, world: World) -> Trainer:
    """Read the data, make the labels, open the run's folder.

    Raises:
        VivavoceError: a choice that cannot be, or a folder that does not fit (see `begin`).
    """
    splits = open_splits(choices.dataset, choices.seed, choices.data_level, choices.image_size)
    bank = choices.labels(splits.classes)
    changes = choices.changes if splits.flip else {"flip": False} | choices.changes
    recipe = settle_precision(resolve(choices.recipe, bank is not None, choices.encoder, changes), device)
    config = configure(choices, recipe, splits, bank)
    if world.first:
        begin(out, config, bank, resume)
    world.wait()
    trainer = Trainer(config, bank, splits, out, device, world)
    if resume:
        trainer.resume()
    return trainer


def configure(choices: Choices, recipe: Recipe, splits: Splits, bank: LabelBank | None) -> Config:
    """Gather what decides the run's outcome.

    Raises:
        VivavoceError: no such encoder, or weights that are not for it.
    """
    encoder = make_encoder(choices.encoder)
    mean, std = splits.mean, splits.std
    if choices.weights is not None:
        if not isinstance(encoder, Backbone):
            raise VivavoceError(f"--weights are for {', '.join(BACKBONES)}, not for {choices.encoder}")
        encoder.load(choices.weights)
        mean, std = STATISTICS
    return Config(
        dataset=splits.name,
        source=splits.source,
        label=bank.kind if bank else choices.label,
        encoder=choices.encoder,
        seed=choices.seed,
        recipe=recipe,
        classes=splits.classes,
        spoken=bank.spoken if bank else (),
        split=splits.described,
        size=(splits.train.images.shape[2], splits.train.images.shape[3]),
        mean=mean,
        std=std,
        bank_digest=bank.digest if bank else None,
        data_level=choices.data_level,
        weights=choices.weights,
        versions={name: version(name) for name in ("vivavoce", "torch", "numpy")},
    )
