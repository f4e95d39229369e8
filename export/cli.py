"""`vivavoce export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..console import need, say
from ..options import NO_PREPROCESSING, Preprocessing, takes_preprocessing

if TYPE_CHECKING:
    from ..artifacts import LabelBank, Manifest


@takes_preprocessing
def export(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN|MODEL",
            help="Folder of a finished training run; or an .onnx file, or a shipped model.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="File to write: .onnx, .pt (TorchScript) or .pt2.")
    ],
    dataset: Annotated[str | None, typer.Option(help="Path of the run's data set, if it has moved.")] = None,
    with_audio: Annotated[
        bool, typer.Option("--with-audio", help="Put the vocoder into the file too (.onnx, speech labels).")
    ] = False,
    data_note: Annotated[
        str | None,
        typer.Option(help='What a reader of the file should know of the images, such as "JPEG copy".'),
    ] = None,
    speak: Annotated[
        bool, typer.Option("--speak", help="Store the sounds of the class names in the .onnx file.")
    ] = False,
    engine: Annotated[
        str | None,
        typer.Option(help="For --speak: flite, piper, espeak-ng or google.", show_default="the first"),
    ] = None,
    voice: Annotated[str | None, typer.Option(help="For --speak: a voice of the engine.")] = None,
    language: Annotated[str | None, typer.Option(help="For --speak: en, de, …; default: en.")] = None,
    wavs: Annotated[
        Path | None, typer.Option(help="For --speak: a folder of recordings, <class>.wav or <index>.wav.")
    ] = None,
    preprocessing: Preprocessing = NO_PREPROCESSING,
) -> None:
    """Export a trained run, or a model of any origin, as one file that describes itself.

    A run becomes encoder, decoder, label bank and manifest. The file is compared with the trained model on at
    least 256 images before it is kept. With --with-audio it also turns its answer into sound (outputs
    `waveform` and `samples`), so that whatever runs ONNX can speak, without Python.

    An .onnx file gets its preprocessing, class names, label bank (--bank), the values of its other inputs
    (--fix) and a voice (--speak) inside.

    Example: vivavoce export runs/speech -o speaks.onnx --with-audio

    Example: vivavoce export encoder.onnx --bank bank.npz -o bound.onnx

    Example: vivavoce export resnet.onnx --classes names.txt --speak -o speaks.onnx
    """
    from ..errors import VivavoceError

    of_speech: dict[str, Any] = {"engine": engine, "voice": voice, "language": language, "wavs": wavs}
    given = {name: value for name, value in of_speech.items() if value is not None}
    if given and not speak:
        raise VivavoceError(f"--{next(iter(given))} needs --speak")
    if not Path(run).is_dir():
        of_run = {"dataset": dataset, "with-audio": with_audio, "data-note": data_note}
        if wrong := [name for name, value in of_run.items() if value]:
            raise VivavoceError(f"--{wrong[0]} is for training runs, and {run} is a model")
        _export_model(run, output, preprocessing, speak, given)
        return
    if speak or preprocessing.given:
        option = "speak" if speak else next(iter(preprocessing.given)).replace("_", "-")
        raise VivavoceError(
            f"--{option} is for models; export the run {run} first, and then its file with it"
        )
    need("torch", "train", "exporting")
    from .build import export_run

    manifest, parity = export_run(Path(run), output, dataset, with_audio, data_note)
    _describe(output, manifest, ", makes its own sound" if with_audio else "")
    say(
        f"parity with the trained model on {parity.images} images: scores within {parity.difference:.1e} of "
        f"their range, {parity.decisions:.0%} of decisions the same"
    )
    say(f"next: audit robustness {output}")


def _export_model(
    model: str, output: Path, preprocessing: Preprocessing, speak: bool, given: dict[str, Any]
) -> None:
    """Export an .onnx file."""
    from ..artifacts import open_model
    from ..artifacts.onnx_model import OnnxModel
    from ..errors import VivavoceError
    from .bind import bind, check

    opened = open_model(model, preprocessing)
    if not isinstance(opened, OnnxModel):
        raise VivavoceError(
            f"{opened.path}: only .onnx files can be exported again; export the model to .onnx"
        )
    check(opened, output, speak)
    names = _say_names(opened.manifest.classes, given) if speak else None
    manifest = bind(opened, output, names)
    _describe(output, manifest, ", says their names" if speak else "")
    say(f"next: {'vivavoce classify PHOTO --speak --model' if speak else 'audit robustness'} {output}")


def _say_names(classes: tuple[str, ...], given: dict[str, Any]) -> LabelBank:
    """The sounds of class names, as a speech bank."""
    from ..console import progress_bar
    from ..train.labels.kinds import build

    with progress_bar() as bar:
        task = bar.add_task("speaking", total=len(classes), note="", visible=False)
        names = build(
            "speech",
            classes,
            saying=lambda word: bar.update(task, advance=1, note=word, visible=True),
            **given,
        )
    assert names is not None
    return names


def _describe(output: Path, manifest: Manifest, sound: str) -> None:
    kind = f"{manifest.label.kind if manifest.label else 'category'} labels"
    say(f"{output}: {output.stat().st_size / 1e6:.2f} MB, {len(manifest.classes)} classes, {kind}{sound}")
