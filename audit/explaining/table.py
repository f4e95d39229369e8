"""What the command prints as tables: the figures of `--evaluate`, and the layers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from ...artifacts import ExportedModel
from ...errors import VivavoceError
from ...gradient import InnerValue
from .evaluation import Evaluated
from .layers import default_layer, shown, spatial_values

WIDTH = 120
"""Columns where there is no terminal."""


def show(found: Evaluated, console: Console) -> None:
    """Print the figures, and what they mean."""
    table = _table("method", "deletion", "insertion")
    for layers, of in found.stages:
        table.add_column(f"{layers}/{of} random", justify="right")
    for row in found.rows:
        correlations = ["constant" if math.isnan(c) else f"{c:.2f}" for c in row.correlations]
        table.add_row(row.name, f"{row.deletion:.3f}", f"{row.insertion:.3f}", *correlations)
    _print(table, console)
    console.print(f"means over {found.images} image{'s' * (found.images != 1)}")
    console.print("deletion, insertion: area under the curve; small and large are good")
    console.print(
        "n/N random: rank correlation with the heatmap once the last n of N layers are random; near 0 is good"
    )
    if not found.stages:
        console.print("no weights could be randomised: the model is not an .onnx file with float weights")
    gaps = [row.gap for row in found.rows if row.gap is not None]
    if gaps:
        console.print(f"largest completeness error of integrated gradients: {max(gaps):.2%}")


def show_layers(model: ExportedModel, console: Console) -> None:
    """Print the values that --layer takes.

    Raises:
        VivavoceError: the model has no such layer, or its layers cannot be read.
    """
    values = spatial_values(model)
    if not values:
        raise VivavoceError(f"{model.path}: has no layer with places of the image")
    show_values(values, "layer", console, default_layer(values))


def show_values(
    values: Sequence[InnerValue], what: str, console: Console, default: str | None = None
) -> None:
    """Print values inside a model, one a row under the heading `what`."""
    table = _table(what, "operator", "shape")
    if default is not None:
        table.add_column("")
    for value in values:
        marked = [] if default is None else ["default" if value.name == default else ""]
        table.add_row(value.name, value.operator, shown(value), *marked)
    _print(table, console)


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table


def _print(table: Table, console: Console) -> None:
    if not console.is_terminal:
        console.width = max(console.width, WIDTH)
    console.print(table)
