"""`vivavoce labels build`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ...console import progress_bar, say
from ...errors import VivavoceError
from ...files import check_parent
from ...options import NO_PREPROCESSING, Preprocessing, takes_feeding
from .kinds import KINDS
from .summary import describe

if TYPE_CHECKING:
    from ...artifacts.bank import LabelBank
    from .gallery import GalleryMetric, Keep


@takes_feeding
def build(
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write, an .npz.")],
    classes: Annotated[
        str | None,
        typer.Option(
            help="digits, mnist, fashion-mnist, cifar10, cifar100, or a file with one class a line, "
            "and optionally the word to speak, after a comma."
        ),
    ] = None,
    kind: Annotated[str, typer.Option(help=f"Label representation: {', '.join(KINDS)}, gallery.")] = "speech",
    size: Annotated[int, typer.Option(help="Side of a square label; usually twice the image's.")] = 64,
    seed: Annotated[
        int | None, typer.Option(help="Seed of random kinds; default: that of the published labels.")
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(help="flite, piper, espeak-ng or google; default: the first of these installed."),
    ] = None,
    voice: Annotated[
        str | None, typer.Option(help="A voice of the engine; for Piper the path of its .onnx.")
    ] = None,
    language: Annotated[
        str | None, typer.Option(help="Language of the words: en, de, …; default: en.")
    ] = None,
    wavs: Annotated[
        Path | None, typer.Option(help="Folder of recordings, <class>.wav or <index>.wav.")
    ] = None,
    model: Annotated[Path | None, typer.Option(help="For bert: a Hugging Face folder.")] = None,
    vectors: Annotated[Path | None, typer.Option(help="For glove: a text file of word vectors.")] = None,
    as_released: Annotated[
        bool, typer.Option("--as-released", help="For bert and glove: reproduce the released files.")
    ] = False,
    code: Annotated[
        str | None,
        typer.Option(
            help="For ecoc: hadamard (the default), random, one-vs-all, or a file with a row of bits "
            "per class."
        ),
    ] = None,
    length: Annotated[int | None, typer.Option(help="For ecoc: bits of a code word.")] = None,
    text_model: Annotated[
        Path | None, typer.Option(help="For text: an .onnx text encoder. Default: that of the `bert` extra.")
    ] = None,
    tokenizer: Annotated[
        Path | None, typer.Option(help="For text: its tokenizer.json. Default: the one next to --text-model.")
    ] = None,
    template: Annotated[
        list[str] | None,
        typer.Option(help='For text: a text with {} for the name; may repeat. Default: "a photo of a {}".'),
    ] = None,
    encoder: Annotated[
        Path | None, typer.Option(help="For gallery: the .onnx file of an image encoder.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="For gallery: the images to enrol, a folder with a subfolder per class."),
    ] = None,
    keep: Annotated[
        Literal["mean", "all"], typer.Option(help="For gallery: the mean of a class's embeddings, or all.")
    ] = "mean",
    metric: Annotated[
        Literal["cosine", "l2", "squared-l2", "dot"],
        typer.Option(help="For gallery: how predictions will be compared with it."),
    ] = "cosine",
    preprocessing: Preprocessing = NO_PREPROCESSING,
) -> None:
    """Make the label of every class and write them as one bank.

    Example: vivavoce labels build --kind speech --classes cifar10 -o bank.npz

    Example: vivavoce labels build --kind text --text-model text_encoder.onnx --classes names.txt -o bank.npz

    Example: vivavoce labels build --kind gallery --encoder encoder.onnx --data people/ -o bank.npz
    """
    from .classlist import read_classes
    from .kinds import build as build_bank

    check_parent(output)
    if output.suffix != ".npz":
        raise VivavoceError(f"{output}: a label bank's file ends in .npz")
    if kind == "gallery":
        _finish(_enrolled(encoder, data, keep, metric, preprocessing), output)
        return
    if classes is None:
        raise VivavoceError(f"{kind} labels need --classes: a data set, or a file with one class a line")
    names, spoken = read_classes(classes)
    chosen = {
        "seed": seed, "engine": engine, "voice": voice, "language": language, "wavs": wavs, "model": model,
        "vectors": vectors, "as_released": as_released or None, "code": code, "length": length,
        "text_model": text_model, "tokenizer": tokenizer, "templates": template,
    }  # fmt: skip
    given = {name: value for name, value in chosen.items() if value is not None}
    _tell_ignored(kind, given)
    with progress_bar() as bar:
        task = bar.add_task("speaking", total=len(names), note="", visible=False)
        bank = build_bank(
            kind,
            names,
            spoken=spoken,
            size=size,
            saying=lambda word: bar.update(task, advance=1, note=word, visible=True),
            **given,
        )
    if bank is None:
        raise VivavoceError(f"{kind} labels are one-hot: there is no bank to build, and training needs none")
    _finish(bank, output)


def _finish(bank: LabelBank, output: Path) -> None:
    """Write a bank, and say what it holds."""
    bank.save(output)
    describe(bank)
    say(f"wrote {output}", err=True)


def _enrolled(
    encoder: Path | None, data: str | None, keep: Keep, metric: GalleryMetric, preprocessing: Preprocessing
) -> LabelBank:
    """The bank of a gallery."""
    from .gallery import enrol

    if encoder is None or data is None:
        raise VivavoceError("gallery labels need --encoder ENCODER.onnx and --data FOLDER")
    with progress_bar() as bar:
        task = bar.add_task("embedding", total=None, note="")
        return enrol(
            encoder, data, keep, metric, preprocessing,
            lambda done, of: bar.update(task, completed=done, total=of),
        )  # fmt: skip


def _tell_ignored(kind: str, given: dict[str, object]) -> None:
    """Note which options do not apply to this kind."""
    if kind in KINDS and (ignored := KINDS[kind].ignored(given)):
        names = ", ".join(f"--{name.replace('_', '-')}" for name in ignored)
        say(f"note: {kind} labels take no {names}; ignored", err=True)
