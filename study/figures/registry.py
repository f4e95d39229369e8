"""Every figure by name; what draws one is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import VivavoceError
from ...files import check_parent
from ...text import suggestion

if TYPE_CHECKING:
    from ..records import Records

DATES = {".png": None, ".svg": "Date", ".pdf": "CreationDate"}
"""Kinds of picture, and what each calls the time in its metadata; left out, so that files compare."""


@dataclass(frozen=True)
class Figure:
    """One figure."""

    summary: str
    module: str
    """Beside this one."""
    function: str = "draw"
    """Of the module: takes the study's records and a `style.Style`, returns a matplotlib figure."""


FIGURES: Mapping[str, Figure] = {
    "runs": Figure("every run: accuracy, accuracy under attack, epochs to a level", "runs"),
    "labels": Figure("the label of every class, a row a kind", "labels"),
    "curves": Figure("loss and validation accuracy through training", "curves"),
    "robustness": Figure("accuracy against epsilon, attack by attack", "robustness"),
    "robustness-initially-correct": Figure(
        "the same of the images that were right at first", "robustness", "draw_initially_correct"
    ),
    "data": Figure("test accuracy against the amount of data", "data"),
    "features": Figure("t-SNE of the encoder's outputs through training", "features"),
    "gradcam": Figure("Grad-CAM at an early, a middle and a late layer", "gradcam"),
    "learned-curves": Figure("test accuracy after every epoch, method by method", "learned"),
    "learned-curves-train-mode": Figure(
        "the same with the network in training mode", "learned", "draw_train_mode"
    ),
    "dendrograms": Figure("which classes a method's vectors hold near, beside WordNet", "dendrograms"),
}


def draw(name: str, records: Records, path: Path, dark: bool = False) -> None:
    """Draw a figure of a study into a file.

    Args:
        name: a key of `FIGURES`.
        records: the study.
        path: of the picture; `.png`, `.svg` or `.pdf`.
        dark: light lines on dark ground.

    Raises:
        VivavoceError: no such figure or kind of picture, or the study has not what the figure shows.
    """
    if name not in FIGURES:
        raise VivavoceError(f"no figure {name!r}; {suggestion(name, FIGURES)}")
    ending = path.suffix.lower()
    if ending not in DATES:
        raise VivavoceError(f"{path}: the file name must end in one of {', '.join(DATES)}")
    check_parent(path)
    if not records.finished:
        raise VivavoceError(
            f"{records.folder}: no cell has finished yet, so there is nothing to draw; "
            "continue with `vivavoce study run`"
        )
    from ...console import need

    need("matplotlib", "plot", "a figure")
    need("torch", "train", "a figure of a study")
    from ...drawing import save_figure
    from .style import Style

    figure, style, stamp = FIGURES[name], Style(dark), DATES[ending]
    with style.applied():
        drawn = getattr(import_module(f".{figure.module}", __package__), figure.function)(records, style)
        save_figure(drawn, path, metadata={stamp: None} if stamp else None)
