"""`vivavoce export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..console import need, say


def export(
    run: Annotated[Path, typer.Argument(help="Folder of a finished training run.")],
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
) -> None:
    """Export a trained run as one file: encoder, decoder, label bank and manifest.

    The file is compared with the trained model on at least 256 images before it is kept. With --with-audio
    it also turns its answer into sound (outputs `waveform` and `samples`), so that whatever runs ONNX can
    speak, without Python.

    Example: vivavoce export runs/speech -o speaks.onnx --with-audio
    """
    need("torch", "train", "exporting")
    from .build import export_run

    manifest, parity = export_run(run, output, dataset, with_audio, data_note)
    say(f"{output}: {output.stat().st_size / 1e6:.2f} MB, {len(manifest.classes)} classes, "
              f"{manifest.label.kind if manifest.label else 'category'} labels"
              f"{', makes its own sound' if with_audio else ''}")  # fmt: skip
    say(
        f"parity with the trained model on {parity.images} images: scores within {parity.difference:.1e} of "
        f"their range, {parity.decisions:.0%} of decisions the same"
    )
    say(f"next: audit robustness {output}")
