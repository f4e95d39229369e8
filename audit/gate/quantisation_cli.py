"""`audit quantize-check`, from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...console import Losses, say, showing, terminal
from ...options import NO_PREPROCESSING, ModelArgument, Preprocessing, Trust, takes_preprocessing
from ..options import Epsilons, protocols_of, read_epsilons, watching
from .cli import Alpha, Limit, MaxDrop, MaxLatency, MaxSize, Output, Seed, tell


@takes_preprocessing
def quantize_check(
    model: ModelArgument,
    int8: Annotated[
        Path | None,
        typer.Argument(metavar="[INT8]", help="Your quantised file. Default: one made by onnxruntime."),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Images to audit and to calibrate on. Default: the model's own.")
    ] = None,
    save: Annotated[Path | None, typer.Option(help="Save the quantised file here.")] = None,
    protocol: Annotated[
        list[str] | None,
        typer.Option(
            help="quick, fast, standard (AutoAttack), paper or natural; may repeat. Default: quick."
        ),
    ] = None,
    epsilon: Epsilons = None,
    limit: Limit = 1000,
    seed: Seed = 0,
    max_drop: MaxDrop = None,
    alpha: Alpha = 0.05,
    max_latency: MaxLatency = None,
    max_size: MaxSize = None,
    output: Output = None,
    trust_model: Trust = False,
    preprocessing: Preprocessing = NO_PREPROCESSING,
) -> None:
    """Quantise a model to int8 and say whether the small file is safe to ship.

    It is safe if the images show that no row dropped by more than --max-drop. With too few images the answer
    is "cannot tell". Exit status: 0 safe or cannot tell, 1 regression, 2 bad input, 3 our error.

    Example: audit quantize-check model.onnx --data photos/ --save model-int8.onnx
    """
    from ...artifacts import open_model
    from ..plan import Settings
    from .limits import read_limits
    from .outputs import Compared, check_outputs, relative_path
    from .quantisation import check_quantised, shipping

    limits = read_limits(max_drop or (), alpha, max_latency, max_size)
    check_outputs(output or [])
    opened = open_model(model, preprocessing, trust=trust_model)
    chosen = protocols_of(protocol, "quick", read_epsilons(epsilon))
    settings = Settings(data=data, limit=limit, seed=seed)
    with watching() as progress:
        comparison, *reports = check_quantised(
            opened, int8, settings, chosen, limits, save, progress, trust_model
        )
    where = relative_path(int8 or save or opened.path)
    losses = Losses()
    tell(Compared(comparison, reports[0], reports[1], where), output or [], losses)
    if save and not int8:
        say(f"wrote {save}", err=True)
    small = next(ratio for ratio in comparison.ratios if ratio.name == "file size")
    style = "bold yellow" if comparison.unsettled else "bold green"
    verdict = f"{comparison.after}, {small.ratio:.0%} of the size: {shipping(comparison)}"
    with losses.noting(), showing():
        terminal().print(verdict, style=style if comparison.passed else "bold red")
    losses.end()
    if not comparison.passed:
        raise typer.Exit(1)
