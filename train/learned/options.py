"""The options of `vivavoce train` that belong to learned objectives."""

from __future__ import annotations

from typing import Annotated

import typer

from .registry import OBJECTIVES

PANEL = "Learned labels and what they are compared with"

Objective = Annotated[
    str | None,
    typer.Option(
        help="Instead of the label's own loss: "
        + "; ".join(f"{k}, {v.summary}" for k, v in OBJECTIVES.items())
        + ".",
        rich_help_panel=PANEL,
    ),
]
LabelDim = Annotated[
    str | None,
    typer.Option(help="lwal: entries of a label: C (the default), 10C or a number.", rich_help_panel=PANEL),
]
Repel = Annotated[
    float | None,
    typer.Option(
        help="lwal: weight of the loss that pushes classes apart; the paper's is 10, the default 0.",
        rich_help_panel=PANEL,
    ),
]
RefreshEvery = Annotated[
    int | None,
    typer.Option(
        help="lwal: refresh the labels every so many steps (1). lwr: store answers every so many epochs (5).",
        rich_help_panel=PANEL,
    ),
]
WarmUp = Annotated[
    int | None,
    typer.Option(
        help="lwal: steps before the first refresh, with one-hot labels (0).", rich_help_panel=PANEL
    ),
]
DetachLabels = Annotated[
    bool, typer.Option("--detach-labels", help="lwal: no gradient through the labels.", rich_help_panel=PANEL)
]
LabelMomentum = Annotated[
    float | None,
    typer.Option(
        help="lwal: share of the batch's class means in a refreshed label (1).", rich_help_panel=PANEL
    ),
]
RecomputeLabels = Annotated[
    bool,
    typer.Option(
        "--recompute-labels",
        help="lwal: at the end take the labels from all training images, not from the last batch.",
        rich_help_panel=PANEL,
    ),
]
TrainModeEval = Annotated[
    bool,
    typer.Option(
        "--train-mode-eval",
        help="Also draw the test curve with the network in training mode, as the authors' code does.",
        rich_help_panel=PANEL,
    ),
]
