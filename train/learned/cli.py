"""`vivavoce study-adaptive`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...console import need, terminal
from ...errors import VivavoceError


def study_adaptive(
    dataset: Annotated[str, typer.Option(help="As for `vivavoce train`.")],
    out: Annotated[Path, typer.Option(help="Folder of the runs, the table and the picture.")],
    methods: Annotated[
        str,
        typer.Option(
            help="With commas: std, static, lwr2, lwr3, lwr5 (also with -port), labelembed, labelembed-port, "
            "lwal, lwal10, lwal10+rpl."
        ),
    ] = "std,lwr3,labelembed,lwal,lwal10,lwal10+rpl",
    seeds: Annotated[str, typer.Option(help="With commas.")] = "12,123,1234",
    encoder: Annotated[str, typer.Option(help="As for `vivavoce train`.")] = "resnet8",
    weights: Annotated[str | None, typer.Option(help="As for `vivavoce train`.")] = None,
    text_model: Annotated[Path | None, typer.Option(help="As for `vivavoce train`.")] = None,
    image_size: Annotated[int, typer.Option(help="As for `vivavoce train`.")] = 32,
    data_level: Annotated[
        int | None, typer.Option(help="Train on this percentage of the training images.")
    ] = None,
    test_limit: Annotated[
        int, typer.Option(min=0, help="Draw the curves on so many test images; 0: all.")
    ] = 0,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="A field of the recipe `adaptive`, as field=value; may repeat."),
    ] = None,
    wordnet: Annotated[Path | None, typer.Option(help="WordNet's folder, for the meaning of labels.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Compare learned labels with their baselines: best accuracy, area, time saved, meaning.

    Runs that are there already are kept, and one that was stopped goes on: give the command again. After
    every run it writes table.md, curves.png and runs.csv, and the first two again with the network judged in
    training mode, as the authors' code does.

    Example: vivavoce study-adaptive --dataset fashion-mnist --out runs/adaptive
    """
    need("torch", "train", "training")
    need("matplotlib", "plot", "the picture of a study")
    from ..cli import run_to_end
    from ..labels.semantics.wordnet import WordNet
    from ..recipes import parse_changes
    from ..run import pick_device, write_whole
    from ..setup import Choices
    from .setting_up import usual_recipe
    from .study import Comparison
    from .tables import draw, summarise, table, write_runs

    try:
        numbers = [int(seed) for seed in seeds.split(",")]
    except ValueError:
        raise VivavoceError(f"--seeds {seeds}: give whole numbers with commas between, such as 1,2") from None
    changes = parse_changes(change or ())
    base = Choices(
        dataset, encoder=encoder, recipe=usual_recipe("std", dataset), changes=changes,
        data_level=data_level, image_size=image_size, weights=weights, text_model=text_model,
    )  # fmt: skip
    study = Comparison(base, methods.split(","), numbers, out, test_limit)
    try:
        words = WordNet(wordnet)
    except VivavoceError as error:
        if wordnet is not None:
            raise
        typer.echo(f"note: tau-b is left out: {error}", err=True)
        words = None
    cells, rows = [], []
    for cell in study.train(pick_device(device), run_to_end):
        cells.append(cell)
        write_runs(cells, out / "runs.csv")
        for train_mode, ending in ((True, "-train-mode"), (False, "")):
            rows = summarise(cells, words, train_mode)
            write_whole(out / f"table{ending}.md", f"{table(rows)}\n".encode())
            judged = "judged in training mode" if train_mode else "judged in inference mode"
            draw(rows, f"{dataset}, {encoder}, {judged}", out / f"curves{ending}.png", train_mode)
    terminal().print(table(rows), markup=False)
    typer.echo(f"wrote table.md, table-train-mode.md, runs.csv and the curves to {out}", err=True)
