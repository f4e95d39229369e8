"""`vivavoce train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import need, progress_bar, terminal
from ..errors import VivavoceError
from .labels.kinds import KINDS
from .learned import OBJECTIVES, make_aim, options

if TYPE_CHECKING:
    from ..artifacts import LabelBank
    from .data import Splits
    from .learned import Aim
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
    label: Annotated[
        str | None,
        typer.Option(
            help=f"Label representation: {', '.join(KINDS)}.", show_default="speech, or the objective's"
        ),
    ] = None,
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
        str | None,
        typer.Option(
            help="`fast` (one cycle), `short` (30 epochs), `paper`, `adaptive` (for --objective), or a .toml "
            "or .json file.",
            show_default="fast; adaptive with --objective",
        ),
    ] = None,
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
    name_audio: Annotated[
        Path | None,
        typer.Option(help="A speech bank whose sounds say the classes of a model with silent labels."),
    ] = None,
    objective: options.Objective = None,
    label_dim: options.LabelDim = None,
    repel: options.Repel = None,
    refresh_every: options.RefreshEvery = None,
    warm_up: options.WarmUp = None,
    detach_labels: options.DetachLabels = False,
    label_momentum: options.LabelMomentum = None,
    recompute_labels: options.RecomputeLabels = False,
    train_mode_eval: options.TrainModeEval = False,
    seed: Annotated[int, typer.Option(help="Seed of split, initial weights, order and augmentation.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last whole epoch.")] = False,
) -> None:
    """Train a classifier whose labels are pictures of speech, or another label representation.

    Example: vivavoce train --dataset digits --label speech --encoder resnet8 --out runs/speech
    """
    need("torch", "train", "training")
    from .data import open_splits
    from .learned.setting_up import FOR_LEARNED, LEARNED, default_label, start
    from .loop import Trainer
    from .recipes import parse_changes, resolve, settle_batch
    from .run import begin, pick_device, settle_precision

    where = pick_device(device)
    changes = parse_changes(change or ())
    named = {"epochs": epochs, "learning_rate": learning_rate, "batch_size": batch_size}
    changes |= {field: value for field, value in named.items() if value is not None}
    splits = open_splits(dataset, seed, data_level, image_size)
    if not splits.flip:
        changes = {"flip": False} | changes
    aim = make_aim(
        objective, len(splits.classes), label_dim, repel=repel, refresh_every=refresh_every,
        warm_up=warm_up, detach_labels=detach_labels, label_momentum=label_momentum,
        recompute_labels=recompute_labels, train_mode_eval=train_mode_eval,
    )  # fmt: skip
    label = default_label(aim, label, bank)
    if label == LEARNED and aim:
        labels, changes = start(splits.classes, aim.label_dim or 0), changes | FOR_LEARNED
    else:
        labels = _labels(label, splits, wavs, bank)
        label = labels.kind if labels else label
    settings = resolve(recipe or ("adaptive" if aim else "fast"), labels is not None, encoder, changes)
    settings = settle_batch(settle_precision(settings, where), len(splits.classes), batch_size)
    names = _names(name_audio, splits)
    config = configure(
        label, encoder, seed, settings, splits, labels, data_level, weights, aim, names
    )  # fmt: skip
    begin(out, config, labels, resume, names)
    trainer = Trainer(config, labels, splits, out, where)
    if resume:
        trainer.resume()
    say = terminal()
    say.print(
        f"{encoder}, {label} labels, {splits.name}: {splits.described}, recipe {settings.name}, on {where}"
    )
    if aim:
        say.print(f"objective {aim.name}: {OBJECTIVES[aim.name]}")
        if weights is None:
            say.print("without ImageNet weights (--weights) the paper's tables are not comparable")
    with progress_bar() as bar:
        task = bar.add_task("training", total=None, note="")
        result = trainer.train(
            lambda step, steps, loss: bar.update(task, completed=step, total=steps, note=f"loss {loss:.3f}"),
            lambda e: bar.console.print(
                f"epoch {e.epoch}/{settings.epochs}: loss {e.train_loss:.3f}, validation accuracy "
                f"{e.validation_accuracy:.2%}, {e.seconds:.1f} s"
            ),
        )
    figures = ", ".join(f"{name.replace('_', ' ')} {value:.2%}" for name, value in result["accuracy"].items())
    say.print(f"best epoch {result['best_epoch']}; accuracy: {figures}")
    say.print(f"next: vivavoce export {out} -o model.onnx")


def _labels(label: str, splits: Splits, wavs: Path | None, bank: Path | None) -> LabelBank | None:
    from .labels import build

    if bank is None:
        return build(label, splits.classes, wavs=wavs)
    from ..artifacts import LabelBank

    return LabelBank.load(bank).matched_to(splits.classes)


def _names(path: Path | None, splits: Splits) -> LabelBank | None:
    """The sounds of the class names, for a model whose own labels are silent."""
    if path is None:
        return None
    from ..artifacts import LabelBank

    names = LabelBank.load(path).matched_to(splits.classes)
    if names.mel is None:
        raise VivavoceError(f"{path}: {names.kind} labels have no sound; --name-audio takes a speech bank")
    return names


def configure(
    label: str,
    encoder: str,
    seed: int,
    recipe: Recipe,
    splits: Splits,
    bank: LabelBank | None,
    data_level: int | None = None,
    weights: str | None = None,
    aim: Aim | None = None,
    names: LabelBank | None = None,
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
    if not recipe.normalise:
        mean, std = (0.0,) * len(mean), (1.0,) * len(std)
    return Config(
        dataset=splits.name,
        source=splits.source,
        label=label,
        encoder=encoder,
        seed=seed,
        recipe=recipe,
        classes=splits.classes,
        spoken=names.spoken if names else bank.spoken if bank else (),
        split=splits.described,
        size=(splits.train.images.shape[2], splits.train.images.shape[3]),
        mean=mean,
        std=std,
        bank_digest=bank.digest if bank else None,
        data_level=data_level,
        weights=weights,
        aim=aim,
        versions={name: version(name) for name in ("vivavoce", "torch", "numpy")},
    )
