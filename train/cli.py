"""`vivavoce train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import need, progress_bar, terminal
from ..errors import VivavoceError
from .labels.kinds import KINDS

if TYPE_CHECKING:
    from ..artifacts import LabelBank
    from .data import Splits
    from .recipes import Recipe
    from .run import Config


def train(
    dataset: Annotated[
        str,
        typer.Option(
            help="digits; mnist, fashion-mnist, cifar10 or cifar100, also as NAME:FOLDER; or a folder with "
            "train/ and test/, one subfolder per class in each."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the run: settings, checkpoints, result.")],
    label: Annotated[str, typer.Option(help=f"Label representation: {', '.join(KINDS)}.")] = "speech",
    encoder: Annotated[
        str,
        typer.Option(
            help="Image encoder: resnet8, resnet14, … resnet110 or vgg19 for small images; resnet50, "
            "efficientnet-b0, densenet121, mobilenet-v3-small or -large for any size."
        ),
    ] = "resnet8",
    weights: Annotated[
        str | None,
        typer.Option(help="Start one of the latter from `imagenet` weights, or from those in a file."),
    ] = None,
    image_size: Annotated[int, typer.Option(help="Height and width to bring the images to.")] = 32,
    recipe: Annotated[
        str, typer.Option(help="`fast` (one cycle), `short` (30 epochs), `paper`, or a .toml or .json file.")
    ] = "fast",
    epochs: Annotated[int | None, typer.Option(help="Instead of the recipe's.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Instead of the recipe's.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Instead of the recipe's.")] = None,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any other field of the recipe, as field=value; may repeat."),
    ] = None,
    data_level: Annotated[
        int | None,
        typer.Option(help="Train on this percentage of the training images: 1, 2, 4, 8, 10, 20, …"),
    ] = None,
    wavs: Annotated[
        Path | None, typer.Option(help="Speech from a folder of recordings: <class>.wav or <index>.wav.")
    ] = None,
    bank: Annotated[
        Path | None, typer.Option(help="A label bank made by `vivavoce labels build`, instead of --label.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of split, initial weights, order and augmentation.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last whole epoch.")] = False,
) -> None:
    """Train a classifier whose labels are pictures of speech, or another label representation.

    Example: vivavoce train --dataset digits --label speech --encoder resnet8 --out runs/speech
    """
    need("torch", "train", "training")
    from .data import open_splits
    from .loop import Trainer
    from .parallel import join, leave
    from .recipes import parse_changes, resolve
    from .run import begin, pick_device, settle_precision

    world, where = join(pick_device(device))
    changes = parse_changes(change or ())
    named = {"epochs": epochs, "learning_rate": learning_rate, "batch_size": batch_size}
    changes |= {field: value for field, value in named.items() if value is not None}
    splits = open_splits(dataset, seed, data_level, image_size)
    if not splits.flip:
        changes = {"flip": False} | changes
    labels = _labels(label, splits, wavs, bank)
    label = labels.kind if labels else label
    settings = settle_precision(resolve(recipe, labels is not None, encoder, changes), where)
    config = configure(label, encoder, seed, settings, splits, labels, data_level, weights)
    if world.first:
        begin(out, config, labels, resume)
    world.wait()
    trainer = Trainer(config, labels, splits, out, where, world)
    if resume:
        trainer.resume()
    if world.first:
        among = f", {world.size} processes" if world.size > 1 else ""
        terminal().print(
            f"{encoder}, {label} labels, {splits.name}: {splits.described}, recipe {settings.name}, "
            f"{settings.epochs} epochs, {settings.precision}, on {where}{among}"
        )
    bar = progress_bar()
    bar.disable |= not world.first
    with bar:
        task = bar.add_task("training", total=None, note="")
        result = trainer.train(
            lambda step, steps, loss: bar.update(task, completed=step, total=steps, note=f"loss {loss:.3f}"),
            lambda e: bar.console.print(
                f"epoch {e.epoch}/{settings.epochs}: loss {e.train_loss:.3f}, validation accuracy "
                f"{e.validation_accuracy:.2%}, {e.seconds:.1f} s"
            ),
        )
    if result:
        accuracy = result["accuracy"].items()
        figures = ", ".join(f"{name.replace('_', ' ')} {value:.2%}" for name, value in accuracy)
        terminal().print(f"best epoch {result['best_epoch']}; accuracy: {figures}")
        terminal().print(f"next: vivavoce export {out} -o model.onnx")
    leave()


def _labels(label: str, splits: Splits, wavs: Path | None, bank: Path | None) -> LabelBank | None:
    from .labels import build

    if bank is None:
        return build(label, splits.classes, wavs=wavs)
    from ..artifacts import LabelBank

    return LabelBank.load(bank).matched_to(splits.classes)


def configure(
    label: str,
    encoder: str,
    seed: int,
    recipe: Recipe,
    splits: Splits,
    bank: LabelBank | None,
    data_level: int | None = None,
    weights: str | None = None,
) -> Config:
    """Gather what decides the run's outcome."""
    from importlib.metadata import version

    from .backbones import BACKBONES, STATISTICS, Backbone
    from .encoders import make_encoder
    from .run import Config

    network = make_encoder(encoder)  # an unknown name should not leave a folder behind
    mean, std = splits.mean, splits.std
    if weights is not None:
        if not isinstance(network, Backbone):
            raise VivavoceError(f"--weights are for {', '.join(BACKBONES)}, not for {encoder}")
        network.load(weights)
        mean, std = STATISTICS
    return Config(
        dataset=splits.name,
        source=splits.source,
        label=label,
        encoder=encoder,
        seed=seed,
        recipe=recipe,
        classes=splits.classes,
        spoken=bank.spoken if bank else (),
        split=splits.described,
        size=(splits.train.images.shape[2], splits.train.images.shape[3]),
        mean=mean,
        std=std,
        bank_digest=bank.digest if bank else None,
        data_level=data_level,
        weights=weights,
        versions={name: version(name) for name in ("vivavoce", "torch", "numpy")},
    )
