"""The options of `vivavoce train` for adversarial training."""

from __future__ import annotations

from typing import Annotated

import typer

PANEL = "Adversarial training"

Method = Annotated[
    str | None,
    typer.Option(
        help="Train on adversarial images: pgd (Madry et al. 2018), fgsm (N-FGSM, one step, de Jorge et al. "
        "2022) or trades (Zhang et al. 2019). The epoch with the best validation accuracy under PGD is kept.",
        rich_help_panel=PANEL,
    ),
]
Epsilon = Annotated[
    str | None,
    typer.Option(
        help="Largest change of a pixel, in units of 0..1, as 8/255 or 0.03.",
        show_default="8/255",
        rich_help_panel=PANEL,
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(help="Steps of the attack.", show_default="pgd 7, trades 10", rich_help_panel=PANEL),
]
Loss = Annotated[
    str | None,
    typer.Option(
        help="What pgd and fgsm climb: scores (cross-entropy on them) or, for label models, smooth-l1.",
        show_default="scores",
        rich_help_panel=PANEL,
    ),
]
