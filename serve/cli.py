"""`vivavoce classify`, `vivavoce listen` and `vivavoce web`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ..options import NO_PREPROCESSING, Preprocessing, Trust, takes_preprocessing
from .options import ExampleImages

MODELS = (".onnx", ".pt", ".pt2")
"""Suffixes of files that hold a model."""


@takes_preprocessing
def classify(
    images: Annotated[
        list[str],
        typer.Argument(metavar="IMAGE...", help="Image files of any size, folders, patterns; - for stdin."),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            help="An exported model, or a shipped one by name.", show_default="the best shipped one"
        ),
    ] = None,
    wav: Annotated[
        Path | None,
        typer.Option(help="Write the spoken answer here: a .wav, or a folder for several images."),
    ] = None,
    speak: Annotated[
        bool, typer.Option("--speak", help="Play the answers through the system's player, one by one.")
    ] = False,
    voice: Annotated[
        Literal["model", "label"],
        typer.Option(help="Speak the predicted spectrogram, or the label nearest to it."),
    ] = "model",
    top: Annotated[int, typer.Option(min=0, help="Also print this many best classes and their scores.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per image and line.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="A CSV table.")] = False,
    trust_model: Trust = False,
    preprocessing: Preprocessing = NO_PREPROCESSING,
) -> None:
    """Classify images: the class, the distance to its label, and the spoken answer.

    The sound is made from the spectrogram that the model predicts, not from a recording; --voice label
    plays the label itself. "Not sure" means that no label is as near as the model's threshold asks.

    Example: vivavoce classify photo.png --speak --wav out.wav

    Example: vivavoce classify photos/ --json > answers.jsonl
    """
    from ..artifacts import default_model, open_model, shipped_models
    from ..errors import VivavoceError
    from ..images.asked import gather
    from .classify import Form, Wishes, answer_all

    if as_json and as_csv:
        raise VivavoceError("--json and --csv cannot be used together; choose one")
    models = {name for name in shipped_models() if not Path(name).exists()}
    if given := next((name for name in images if name in models or Path(name).suffix in MODELS), None):
        raise VivavoceError(f"{given}: a model, not an image; give it as --model {given}")
    form: Form = "json" if as_json else "csv" if as_csv else "text"
    asked = gather(images)
    opened = open_model(model or default_model(), preprocessing, trust=trust_model)
    if failed := answer_all(asked, opened, Wishes(form, top, wav, speak, voice)):
        raise VivavoceError(f"{failed} image{'s' if failed > 1 else ''} could not be read")


@takes_preprocessing
def listen(
    model: Annotated[str, typer.Argument(help="An exported model that speaks, or a shipped one by name.")],
    data: Annotated[
        str | None, typer.Option(help="Labelled images; default: the data set that the model was trained on.")
    ] = None,
    limit: Annotated[
        int, typer.Option(min=0, help="Listen to a stratified sample of this many images; 0: all.")
    ] = 200,
    seed: Annotated[int, typer.Option(help="Seed of the sample and of the blends.")] = 0,
    threshold: Annotated[
        float | None, typer.Option(help="Mean smooth L1 to compare with.", show_default="the model's")
    ] = None,
    suggest_threshold: Annotated[
        bool,
        typer.Option("--suggest-threshold", help="Also listen to blends of labels, and suggest a threshold."),
    ] = False,
    voice: Annotated[
        Literal["model", "label"],
        typer.Option(help="Listen to the predicted spectrogram, or to the label nearest to it."),
    ] = "model",
    output: Annotated[
        list[Path] | None,
        typer.Option("--output", "-o", help="Write .json, .csv (every sound) or a picture; may repeat."),
    ] = None,
    preprocessing: Preprocessing = NO_PREPROCESSING,
) -> None:
    """Play a model's answers to a speech recogniser, and count how many it understands.

    The recogniser replaces human listeners. It must choose one of the class names, so it guesses on noise:
    low figures are partly chance. --suggest-threshold finds the loss up to which nine words in ten are
    understood.

    Example: vivavoce listen digits-speech --suggest-threshold -o heard.png
    """
    from ..console import Losses, need, progress_bar, say, showing, terminal
    from .listening.listen import listen as hear
    from .listening.report import PICTURES, check_outputs, show, write

    need("pocketsphinx", "listen", "listening")
    outputs = output or []
    check_outputs(outputs)
    if any(path.suffix.lower() in PICTURES for path in outputs):
        need("matplotlib", "plot", "a picture")
    with progress_bar() as bar:
        task = bar.add_task("listening", total=None, note="")

        def progress(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        hearing, sounds = hear(
            model, data, limit=limit, seed=seed, threshold=threshold, voice=voice,
            blends=suggest_threshold, progress=progress, preprocessing=preprocessing,
        )  # fmt: skip
    losses = Losses()
    with losses.noting(), showing():
        show(hearing, terminal())
    for path in outputs:
        with losses.noting():
            write(hearing, sounds, path)
            say(f"wrote {path}", err=True)
    losses.end()


def web(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="An .onnx file made by `vivavoce export`, or a shipped model by name."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The HTML file to write.")],
    runtime: Annotated[
        Path | None,
        typer.Option(help="The package onnxruntime-web, as `npm pack` saves it. Default: npm gets it once."),
    ] = None,
    examples: ExampleImages = None,
) -> None:
    """Write one HTML file that classifies images in any browser, without a server or a network.

    It says what a model predicts of spoken labels, or the names of its classes (`vivavoce export --speak`).

    Example: vivavoce web digits-speech -o digits.html
    """
    from ..console import need, say
    from ..files import check_parent, write_whole

    need("fastapi", "serve", "the page")
    from .web import build, fetch_runtime

    check_parent(output)
    content = build(runtime or fetch_runtime(), model, examples)
    write_whole(output, content.encode())
    say(f"wrote {output} ({len(content) / 1e6:.1f} MB); open it in a browser", err=True)
