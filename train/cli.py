"""`vivavoce train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..console import need, progress_bar, say
from . import adversarial_options as adversarial_option
from .labels.kinds import KINDS
from .learned import options
from .learned.registry import OBJECTIVES

if TYPE_CHECKING:
    from .loop import Trainer


def train(
    dataset: Annotated[
        str,
        typer.Option(
            help="digits; mnist, fashion-mnist, cifar10 or cifar100, also as NAME:FOLDER; a folder with "
            "train/ and test/, one subfolder per class in each; or texts, imdb:FOLDER or yelp:FOLDER."
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
            help="Image encoder: resnet8, resnet14, … resnet110, vgg19 or airbench (also with widths: "
            "airbench-64-256-256) for small images; resnet50, efficientnet-b0, densenet121, "
            "mobilenet-v3-small or -large for any size."
        ),
    ] = "resnet8",
    text_model: Annotated[
        Path | None,
        typer.Option(help="For imdb and yelp: a Hugging Face folder.", show_default="MiniLM, if installed"),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Start from the folder of a finished run; a torchvision encoder also from `imagenet` or a "
            "file of weights."
        ),
    ] = None,
    image_size: Annotated[int, typer.Option(help="Resize images to this height and width.")] = 32,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="`fast` (one cycle), `airbench`, `short` (30 epochs), `paper`, `adaptive` or "
            "`adaptive-text` (for --objective), or a .toml or .json file.",
            show_default="fast; adaptive with --objective",
        ),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Override the recipe's value.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Override the recipe's value.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Override the recipe's value.")] = None,
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
        typer.Option(help="A speech bank whose sounds name the classes, for labels without sound."),
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
    adversarial: adversarial_option.Method = None,
    adversarial_epsilon: adversarial_option.Epsilon = None,
    adversarial_steps: adversarial_option.Steps = None,
    adversarial_loss: adversarial_option.Loss = None,
    seed: Annotated[int, typer.Option(help="Seed of split, initial weights, order and augmentation.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Resume after the last completed epoch.")] = False,
) -> None:
    """Train a classifier on spoken labels, or on a different label representation.

    Example: vivavoce train --dataset digits --label speech --encoder resnet8 --out runs/speech
    """
    need("torch", "train", "training")
    from .doubts import doubt
    from .learned.setting_up import default_label, usual_recipe
    from .parallel import joined
    from .recipes import parse_changes
    from .run import pick_device
    from .setup import Choices, prepare

    changes = parse_changes(change or ())
    named = {"epochs": epochs, "learning_rate": learning_rate, "batch_size": batch_size}
    changes |= {field: value for field, value in named.items() if value is not None}
    settings = {
        "name": objective, "label_dim": label_dim, "repel": repel, "refresh_every": refresh_every,
        "warm_up": warm_up, "detach_labels": detach_labels, "label_momentum": label_momentum,
        "recompute_labels": recompute_labels, "train_mode_eval": train_mode_eval,
    }  # fmt: skip
    attack = {
        "method": adversarial, "epsilon": adversarial_epsilon, "steps": adversarial_steps,
        "loss": adversarial_loss,
    }  # fmt: skip
    label, recipe = default_label(objective, label, bank), recipe or usual_recipe(objective, dataset)
    choices = Choices(
        dataset, label, encoder, recipe, changes, seed, data_level, image_size, weights, wavs, bank,
        objective=settings, adversarial=attack, text_model=text_model, name_audio=name_audio,
    )  # fmt: skip
    with joined(pick_device(device)) as (world, where):
        trainer = prepare(choices, out, where, resume, world)
        result = run_to_end(trainer)
    if result:
        accuracy = result["accuracy"].items()
        figures = ", ".join(f"{name.replace('_', ' ')} {value:.2%}" for name, value in accuracy)
        say(f"best epoch {result['best_epoch']}; accuracy: {figures}")
        if reason := doubt(trainer.history, len(trainer.config.classes)):
            say(f"warning: {reason}", err=True)
        say(f"next: vivavoce export {out} -o model.onnx")


def run_to_end(trainer: Trainer) -> dict[str, Any] | None:
    """Train, and show how far it is; only the first of several processes speaks."""
    config, world = trainer.config, trainer.world
    recipe = config.recipe
    if world.first:
        among = f", {world.size} processes" if world.size > 1 else ""
        say(
            f"{config.encoder}, {config.label} labels, {config.dataset}: {config.split}, "
            f"recipe {recipe.name}, {recipe.epochs} epochs, {recipe.precision}, on {trainer.device}{among}"
        )
        if config.adversarial:
            say(str(config.adversarial))
        if config.objective:
            name = config.objective.name
            say(f"objective {name}: {OBJECTIVES[name].summary}")
            if config.weights is None:
                say("without ImageNet weights (--weights) the paper's tables are not comparable")
    bar = progress_bar()
    bar.disable |= not world.first
    with bar:
        task = bar.add_task("training", total=None, note="")
        return trainer.train(
            lambda step, steps, loss: bar.update(task, completed=step, total=steps, note=f"loss {loss:.3f}"),
            lambda epoch: bar.console.print(epoch.line(recipe.epochs)),
        )
