"""`vivavoce export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..console import need, terminal


def export(
    run: Annotated[Path, typer.Argument(help="Folder of a finished training run.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="File to write: .onnx, .pt (TorchScript) or .pt2.")
    ],
    dataset: Annotated[
        str | None, typer.Option(help="Where the run's data set lies now, if it has moved.")
    ] = None,
) -> None:
    """Export a trained run as one file: encoder, decoder, label bank and manifest.

    The file is compared with the trained model on at least 256 images before it is kept.

    Example: vivavoce export runs/speech -o model.onnx
    """
    need("torch", "train", "exporting")
    from .build import export_run

    manifest, parity = export_run(run, output, dataset)
    say = terminal()
    say.print(f"{output}: {output.stat().st_size / 1e6:.2f} MB, {len(manifest.classes)} classes, "
              f"{manifest.label.kind if manifest.label else 'category'} labels")  # fmt: skip
    say.print(
        f"parity with the trained model on {parity.images} images: scores within {parity.difference:.1e} of "
        f"their range, {parity.decisions:.0%} of decisions the same"
    )
    say.print(f"next: audit robustness {output}")
