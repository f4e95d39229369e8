"""`audit`: attacks on an exported file, from the command line."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import make_app, progress_bar, run, terminal
from .options import (
    Channels,
    Classes,
    Crop,
    Device,
    Interpolation,
    Layout,
    Mean,
    OutputName,
    Resize,
    Scale,
    Size,
    Std,
    foreign_options,
)  # fmt: skip

if TYPE_CHECKING:
    from ..images import ImageSet
    from .evaluate import Evaluation
    from .protocol import Protocol
    from .target import Target

app = make_app("Audit the robustness of an exported image classifier, on the file itself.")

ModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="An .onnx or TorchScript .pt file, or a shipped model: digits-speech."
    ),
]


@app.command()
def robustness(
    model: ModelArgument,
    data: Annotated[
        str | None,
        typer.Option(
            help="`digits`, a folder with one subfolder per class, or an .npz. Default: the model's own."
        ),
    ] = None,
    protocol: Annotated[str, typer.Option(help="Attacks and epsilons as a set: paper.")] = "paper",
    attack: Annotated[
        list[str] | None, typer.Option(help="Only this attack; may repeat: fgsm, iterative.")
    ] = None,
    epsilon: Annotated[
        list[float] | None, typer.Option(help="Instead of the protocol's epsilons; may repeat.")
    ] = None,
    epsilon_space: Annotated[
        str | None,
        typer.Option(help="Units of epsilon: pixel (0..1) or normalized. Default: the protocol's."),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=0, help="Audit a stratified sample of this many images; 0: all.")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the sample and of the target classes.")] = 0,
    batch_size: Annotated[int, typer.Option(min=1, help="Images at a time.")] = 64,
    output: Annotated[
        list[Path] | None,
        typer.Option("--output", "-o", help="Write the report; may repeat: .json .md .csv .png .svg .pdf."),
    ] = None,
    device: Device = "cpu",
    scale: Scale = None,
    mean: Mean = None,
    std: Std = None,
    layout: Layout = None,
    channels: Channels = None,
    size: Size = None,
    resize: Resize = None,
    crop: Crop = None,
    interpolation: Interpolation = None,
    output_name: OutputName = None,
    classes: Classes = None,
) -> None:
    """Attack a model and report its accuracy under attack.

    Example: audit robustness digits-speech --output report.json --output curves.png
    """
    from ..artifacts import open_model
    from ..errors import VivavoceError
    from ..images import match, open_images
    from .outputs import check_outputs, write_outputs
    from .protocol import resolve
    from .report import write_report
    from .table import show
    from .target import Target

    chosen = resolve(protocol, attack or (), epsilon or (), epsilon_space)
    check_outputs(output or [])
    foreign = foreign_options(
        scale, mean, std, layout, channels, size, resize, crop, interpolation, output_name, classes
    )
    opened = open_model(model, foreign, device)
    trained = opened.manifest.training
    if data is None and trained is None:
        raise VivavoceError("this model does not say what it was trained on; give --data")
    images, matching = match(open_images(data or trained.dataset), opened.manifest.classes, opened.named)  # type: ignore[union-attr]
    target = Target(opened)
    evaluation = _evaluate(target, images, chosen, limit, seed, batch_size)
    command = shlex.join(["audit", *(Path(a).name if Path(a).is_absolute() else a for a in sys.argv[1:])])
    report = write_report(target, images, matching, chosen, evaluation, command, seed)
    write_outputs(report, output or [])
    show(report, terminal())
    for path in output or []:
        typer.echo(f"wrote {path}", err=True)


def _evaluate(
    target: Target, images: ImageSet, protocol: Protocol, limit: int, seed: int, batch_size: int
) -> Evaluation:
    from .evaluate import evaluate

    indices = images.sample(limit, seed)
    steps = len(indices) * len(protocol.attacks) * len(protocol.targeted) * len(protocol.epsilons)
    with progress_bar() as bar:
        task = bar.add_task("attacking", total=steps, note="")
        return evaluate(
            target, images, indices, protocol, seed=seed, batch_size=batch_size,
            progress=lambda n, name: bar.update(task, advance=n, note=name),
        )  # fmt: skip


@app.command()
def inspect(
    model: ModelArgument,
    device: Device = "cpu",
    scale: Scale = None,
    mean: Mean = None,
    std: Std = None,
    layout: Layout = None,
    channels: Channels = None,
    size: Size = None,
    resize: Resize = None,
    crop: Crop = None,
    interpolation: Interpolation = None,
    output_name: OutputName = None,
    classes: Classes = None,
) -> None:
    """Show what a file is, how it is understood, and whether its gradient is available.

    Example: audit inspect digits-speech
    """
    from ..artifacts import open_model
    from .inspection import show_model

    foreign = foreign_options(
        scale, mean, std, layout, channels, size, resize, crop, interpolation, output_name, classes
    )
    show_model(open_model(model, foreign, device), terminal())


def main() -> None:
    """Entry point of `audit`."""
    run(app)
