"""From what a user chose to a run that is ready to train."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import nn

from ..artifacts import LabelBank
from ..errors import VivavoceError
from ..text import plain, suggestion
from .adversarial import Adversarial, make_adversarial
from .backbones import BACKBONES, STATISTICS, Backbone
from .data import SIDE, Splits, open_splits
from .encoders import make_encoder
from .labels import build
from .learned.lwal import start
from .learned.setting_up import FOR_LEARNED
from .learned.settings import ObjectiveSettings, resolve_settings
from .loop import Trainer
from .parallel import World
from .recipes import Recipe, resolve, settle_batch
from .run import Config, begin, read_config, settle_precision
from .texts import is_text, open_texts


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
    objective: dict[str, Any] = field(default_factory=dict)
    """What `learned.settings.resolve_settings` takes; empty: the label's own loss."""
    adversarial: dict[str, Any] = field(default_factory=dict)
    """What `make_adversarial` takes; empty: train on the images as they are."""
    text_model: Path | None = None
    """Folder of the Hugging Face encoder that reads texts."""
    name_audio: Path | None = None
    """A bank whose sounds say the classes of a model with silent labels."""
    speech: dict[str, Any] = field(default_factory=dict)
    """Who says the class names: `engine`, `voice` and `language` of `labels.build`, and `words`, a word for
    each class; empty: the first engine that is installed says the usual words."""

    def splits(self) -> Splits:
        """Read the data."""
        if is_text(self.dataset):
            return open_texts(self.dataset, self.seed, self.data_level, self.text_model)
        return open_splits(self.dataset, self.seed, self.data_level, self.image_size)

    def labels(
        self, classes: tuple[str, ...], objective: ObjectiveSettings | None = None
    ) -> LabelBank | None:
        """The label of each class; None for one-hot rows."""
        if objective and objective.label_dim:
            return start(classes, objective.label_dim)
        if self.bank is not None:
            return LabelBank.load(self.bank).averaged().matched_to(classes)
        speech = dict(self.speech)
        words = speech.pop("words", {})
        return build(self.label, classes, wavs=self.wavs, spoken=_spoken(words, classes), **speech)

    def names(self, classes: tuple[str, ...]) -> LabelBank | None:
        """The sound of each class's name, if there is to be one."""
        if self.name_audio is None:
            return None
        names = LabelBank.load(self.name_audio).matched_to(classes)
        if names.mel is None:
            raise VivavoceError(
                f"{self.name_audio}: {names.kind} labels have no sound; --name-audio takes a speech bank"
            )
        return names


def _spoken(words: dict[str, str], classes: tuple[str, ...]) -> tuple[str, ...] | None:
    """The word for each class, from a table by class name; None: the table is empty.

    Raises:
        VivavoceError: a class has no word, or a word is for no class.
    """
    if not words:
        return None
    if missing := [name for name in classes if name not in words]:
        raise VivavoceError(f"words: no word for the class {plain(missing[0])!r}; give each class a word")
    if extra := sorted(words.keys() - set(classes)):
        raise VivavoceError(f"words: there is no class {plain(extra[0])!r}; {suggestion(extra[0], classes)}")
    return tuple(words[name] for name in classes)


def prepare(
    choices: Choices,
    out: Path,
    device: torch.device,
    resume: bool,
    world: World,
    splits: Splits | None = None,
) -> Trainer:
    """Read the data, unless they are given, make the labels, open the run's folder.

    Raises:
        VivavoceError: a choice that cannot be, or a folder that does not fit (see `begin`).
    """
    splits = splits or choices.splits()
    if is_text(choices.dataset):
        choices = replace(choices, encoder=f"dense{splits.train.images.shape[1]}")
    objective = resolve_settings(len(splits.classes), **choices.objective)
    if objective and world.size > 1:
        raise VivavoceError("--objective trains in one process: its labels are those of a whole batch")
    bank, names = choices.labels(splits.classes, objective), choices.names(splits.classes)
    adversarial = _adversarial(choices, bank)
    changes = choices.changes if splits.flip else {"flip": False} | choices.changes
    if objective and objective.label_dim:
        changes |= FOR_LEARNED
    recipe = settle_precision(resolve(choices.recipe, bank is not None, choices.encoder, changes), device)
    recipe = settle_batch(recipe, len(splits.classes), choices.changes.get("batch_size"))
    config = configure(choices, recipe, splits, bank, objective, names)
    config = msgspec.structs.replace(config, adversarial=adversarial)
    if world.first:
        begin(out, config, bank, resume, names)
    world.wait()
    trainer = Trainer(config, bank, splits, out, device, world)
    if resume:
        trainer.resume()
    return trainer


def _adversarial(choices: Choices, bank: LabelBank | None) -> Adversarial | None:
    """The adversarial training, if it fits the data and the labels."""
    found = make_adversarial(**choices.adversarial)
    if found is None:
        return None
    if choices.objective.get("name"):
        raise VivavoceError("--adversarial trains on the label's own loss; leave --objective out")
    if is_text(choices.dataset):
        raise VivavoceError(f"--adversarial is for images, and {choices.dataset} holds texts")
    if found.loss == "smooth-l1" and bank is None:
        raise VivavoceError(
            f"--adversarial-loss smooth-l1 needs a label bank, which {choices.label} lacks; give scores"
        )
    return found


def _statistics(weights: str, encoder: nn.Module, name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation that the weights expect, which are read to see whether they fit the encoder.

    Raises:
        VivavoceError: they do not.
    """
    if Path(weights).is_dir():
        other = read_config(Path(weights))
        if other.encoder != name:
            raise VivavoceError(f"--weights {weights}: a run of {other.encoder}, not of {name}")
        return other.mean, other.std
    if not isinstance(encoder, Backbone):
        raise VivavoceError(
            f"--weights {weights}: {name} starts from the folder of a finished run; `imagenet` and files of "
            f"weights are for {', '.join(BACKBONES)}"
        )
    encoder.load(weights)
    return STATISTICS


def configure(
    choices: Choices,
    recipe: Recipe,
    splits: Splits,
    bank: LabelBank | None,
    objective: ObjectiveSettings | None = None,
    names: LabelBank | None = None,
) -> Config:
    """Gather what decides the run's outcome.

    Raises:
        VivavoceError: no such encoder, weights that are not for it, or none where the encoder is frozen.
    """
    encoder = make_encoder(choices.encoder)
    mean, std = splits.mean, splits.std
    if recipe.freeze_encoder and choices.weights is None:
        raise VivavoceError(
            "freeze_encoder trains the head alone; give --weights with the folder of a finished run"
        )
    if choices.weights is not None:
        mean, std = _statistics(choices.weights, encoder, choices.encoder)
    if not recipe.normalise:
        mean, std = (0.0,) * len(mean), (1.0,) * len(std)
    return Config(
        dataset=splits.name,
        source=splits.source,
        label=bank.kind if bank else choices.label,
        encoder=choices.encoder,
        seed=choices.seed,
        recipe=recipe,
        classes=splits.classes,
        spoken=names.spoken if names else bank.spoken if bank else (),
        split=splits.described,
        size=(splits.train.images.shape[2], splits.train.images.shape[3]),
        mean=mean,
        std=std,
        bank_digest=bank.digest if bank else None,
        data_level=choices.data_level,
        weights=choices.weights,
        objective=objective,
        versions={name: version(name) for name in ("vivavoce", "torch", "numpy")},
    )
