"""An option of the commands that make a page."""

from __future__ import annotations

from typing import Annotated

import typer

ExampleImages = Annotated[
    str | None,
    typer.Option(
        metavar="<data>",
        help="Images to try on the page, one per class: a folder with a subfolder per class, or a "
        "data set by name. Default: digits, for models trained on them.",
    ),
]
