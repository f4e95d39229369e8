"""`audit explain`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from ...console import progress_bar, say, showing, terminal
from ...options import NO_PREPROCESSING, Device, ModelArgument, Preprocessing, Trust, takes_preprocessing

FEW = 4
"""Explanations for which no progress bar is loaded."""


@takes_preprocessing
def explain(
    model: ModelArgument,
    images: Annotated[
        list[str] | None,
        typer.Argument(metavar="IMAGE...", help="Image files of any size, folders, patterns; - for stdin."),
    ] = None,
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "--output", "-o", help="A .png, .html or .npz, or a folder for a picture each; may repeat."
        ),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="grad-cam, hirescam, saliency, gradient-x-input, integrated-gradients, smoothgrad, "
            "occlusion or rise; may repeat. Default: grad-cam, or what the model allows."
        ),
    ] = None,
    class_: Annotated[
        list[str] | None,
        typer.Option(
            "--class", help="Explain this class, by name or number; may repeat. Default: the decision."
        ),
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="Explain why the class, and not this one.", metavar="<class>")
    ] = None,
    quantity: Annotated[
        Literal["score", "probability", "distance"],
        typer.Option(help="The number to explain; distance is to the label of the class, for label models."),
    ] = "score",
    patch: Annotated[
        str | None,
        typer.Option(
            metavar="<from:to[,low:high]>",
            help="Explain only this part of the spoken word: per cent of its length, and Hz, as in "
            "20:45,2000:8000; for label models.",
        ),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(help="Layer for grad-cam and hirescam. Default: the last convolutional one."),
    ] = None,
    list_layers: Annotated[
        bool, typer.Option("--list-layers", help="Show the layers that --layer takes, and stop.")
    ] = False,
    evaluate: Annotated[
        bool,
        typer.Option("--evaluate", help="Also measure how good the explanations are, on at most 16 images."),
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of smoothgrad, rise and --evaluate.")] = 0,
    device: Device = "cpu",
    trust_model: Trust = False,
    preprocessing: Preprocessing = NO_PREPROCESSING,
) -> None:
    """Show which pixels of an image make a model decide as it does.

    Models without a gradient are explained by occlusion. What the methods show, and what they do not, is in
    docs/explain.md.

    Example: audit explain cifar10-speech photo.png -o why.png

    Example: audit explain model.onnx photos/ --method integrated-gradients --against dog -o why.html
    """
    from ...artifacts import open_model
    from ...artifacts.model import find_model
    from ...errors import VivavoceError
    from ...images.asked import gather
    from .explainer import Explainer, Wishes
    from .run import Run
    from .table import show, show_layers

    if list_layers:
        show_layers(open_model(model, preprocessing, device, trust_model), terminal())
        return
    find_model(model)
    if not images:
        raise VivavoceError("no images; give files or folders after the model")
    if not output and not evaluate:
        raise VivavoceError("nothing to write; give --output FILE (.png, .html, .npz), or --evaluate")
    asked = gather(images)
    wishes = Wishes(tuple(method or ()), quantity, against, layer, seed, patch)
    opened = open_model(model, preprocessing, device, trust_model)
    work = Run(Explainer(opened, wishes, lambda line: say(line, err=True)), asked, class_ or (), output or ())
    with _progress("explaining", work.count) as advance:
        work.explain(advance)
    if evaluate:
        with _progress("evaluating", None) as advance:
            found = work.evaluate(advance)
        if found:
            with showing():
                show(found, terminal())
    work.write()
    if work.failed:
        raise VivavoceError(f"{work.failed} image{'s' * (work.failed > 1)} could not be explained")


@contextmanager
def _progress(what: str, total: int | None) -> Iterator[Callable[[], None]]:
    """What to call after each step; a bar is worth the time to load it only for many."""
    if total is not None and total <= FEW:
        yield lambda: None
        return
    with progress_bar() as bar:
        task = bar.add_task(what, total=total, note="")
        yield lambda: bar.advance(task)
