"""`audit inspect`: how a file is understood, from the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ..console import progress_bar, terminal
from ..options import NO_PREPROCESSING, Device, ModelArgument, Preprocessing, Trust, takes_preprocessing

if TYPE_CHECKING:
    from ..artifacts import ExportedModel
    from .preprocessing_search import Search


@takes_preprocessing
def inspect(
    model: ModelArgument,
    data: Annotated[
        str | None,
        typer.Option(help="Labelled images: also measure the accuracy on 64, with the usual preprocessings."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    device: Device = "cpu",
    trust_model: Trust = False,
    preprocessing: Preprocessing = NO_PREPROCESSING,
) -> None:
    """Show what a model file contains, how vivavoce reads it, and whether its gradient is available.

    With --data it finds out which preprocessing the model expects: scale, mean and std, order of the
    channels, layout, and order of the classes.

    Example: audit inspect digits-speech

    Example: audit inspect model.onnx --data photos/
    """
    from ..artifacts import open_model
    from .inspection import inspect_model
    from .preprocessing_search import describe, record
    from .writing.inspection import json_text, show_inspection

    opened = open_model(model, preprocessing, device, trust_model)
    found = inspect_model(opened)
    if not as_json:
        show_inspection(found, terminal())
    tried = None if data is None else search_preprocessing(opened, data, preprocessing)
    if as_json:
        print(json_text(found, tried and record(tried)))
    elif tried:
        terminal().print("preprocessing", style="bold")
        for line in describe(tried):
            terminal().print(f"  {line}")


def search_preprocessing(model: ExportedModel, data: str, given: Preprocessing) -> Search:
    """Search for the preprocessing that fits, with a progress bar."""
    from .preprocessing_search import search

    with progress_bar() as bar:
        task = bar.add_task("preprocessing", total=None, note="")
        return search(model, data, given, lambda done, n: bar.update(task, completed=done, total=n))
