"""`vivavoce labels`: make label banks, look at them, measure them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...console import make_app, run, say, terminal
from ...errors import VivavoceError
from ...files import check_parent
from ...text import suggestion
from .build_cli import build
from .summary import closest, describe, warn

if TYPE_CHECKING:
    from ...artifacts.bank import LabelBank
    from .semantics.measure import Measured
    from .statistics import Statistics

app = make_app("Make label banks, look at them, measure them.")

BankFile = Annotated[Path, typer.Argument(metavar="BANK", help="A label bank, made by `labels build`.")]


app.command()(build)


@app.command()
def show(
    bank: BankFile,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Draw all labels in this image file (.png, …).")
    ] = None,
    play: Annotated[
        str | None, typer.Option(metavar="<class>", help="Play a class's label through the system's player.")
    ] = None,
    wav: Annotated[
        Path | None, typer.Option(help="Write what --play plays to this .wav file instead.")
    ] = None,
) -> None:
    """Show what a bank holds; draw it as a sheet of pictures; play a label.

    Example: vivavoce labels show bank.npz -o bank.png
    """
    from ...artifacts.bank import LabelBank

    opened = LabelBank.load(bank)
    if wav is not None and play is None:
        raise VivavoceError("--wav needs --play CLASS, which says what to write")
    describe(opened)
    if output is not None:
        from .sheet import save_sheet

        check_parent(output)
        save_sheet(opened.averaged(), output)
        say(f"wrote {output}", err=True)
    if play is not None:
        _sound(opened, play, wav)


@app.command()
def stats(
    banks: Annotated[list[Path], typer.Argument(metavar="BANK...", help="Label banks.")],
) -> None:
    """Measure how different the labels are: Table 2 of Chen et al. 2021, and measures that compare kinds.

    Example: vivavoce labels stats speech.npz constant.npz
    """
    from ...artifacts.bank import LabelBank
    from . import statistics

    stems = [path.stem for path in banks]
    names = stems if len(set(stems)) == len(stems) else [str(path) for path in banks]
    opened = {name: LabelBank.load(path).averaged() for name, path in zip(names, banks, strict=True)}
    _print_table(
        "As in Table 2 of Chen et al. 2021, a recipe of its own for each kind",
        {name: statistics.paper(bank.kind, bank.labels) for name, bank in opened.items()},
    )
    _print_table(
        "The same for every kind: all labels scaled to 0..1 together, distances per entry, 256 bins",
        {name: statistics.consistent(bank.labels) for name, bank in opened.items()},
    )
    for name, bank in opened.items():
        terminal().print(f"{name}: closest are {closest(bank)}", markup=False)
        warn(bank)


@app.command()
def semantics(
    source: Annotated[
        Path, typer.Argument(metavar="RUN|BANK", help="A run of `train --objective`, or a label bank.")
    ],
    wordnet: Annotated[
        Path | None,
        typer.Option(help="WordNet's folder (index.noun, data.noun).", show_default="where Debian has it"),
    ] = None,
    dendrogram: Annotated[
        Path | None, typer.Option(help="Draw a tree of the distances between classes (.png, .svg).")
    ] = None,
    mds: Annotated[Path | None, typer.Option(help="Draw the classes as a map (.png, .svg).")] = None,
    bank: Annotated[
        str | None, typer.Option(help="Which bank to draw, if the run has several.", show_default="the first")
    ] = None,
) -> None:
    """Compare the distances between labels with those between their meanings in WordNet.

    Tau is Kendall's tau-b, the mean over the classes: 1 for the same order, 0 for no relation, printed with
    its spread for random labels. For a run, the command measures the label bank, if there is one, and the
    class means of the network's outputs and features.

    Example: vivavoce labels semantics runs/lwal --dendrogram tree.png --mds map.png
    """
    from .semantics.measure import measure, open_banks
    from .semantics.wordnet import WordNet

    banks = open_banks(source)
    if bank is not None and bank not in banks:
        raise VivavoceError(f"{source} has no bank {bank!r}; it has {', '.join(banks)}")
    pictures = [path for path in (dendrogram, mds) if path is not None]
    for path in pictures:
        check_parent(path)
    found = measure(banks, WordNet(wordnet))
    _print_semantics(found)
    drawn = next(m for m in found if bank in (None, m.name))
    if pictures:
        from .semantics import pictures as draw

        for path, method in ((dendrogram, draw.draw_dendrogram), (mds, draw.draw_map)):
            if path is not None:
                method(drawn.distances, drawn.wordnet, drawn.semantics.classes, path)
                say(f"wrote {path} ({drawn.name})", err=True)


def _print_semantics(found: list[Measured]) -> None:
    from rich.table import Table

    first = found[0].semantics
    say(f"{len(first.classes)} classes that WordNet has: {', '.join(first.classes)}")
    if first.missing:
        say(f"left out: {', '.join(first.missing)}")
    table = Table()
    table.add_column("labels")
    for title in ("tau-b", "by chance", "in units of chance"):
        table.add_column(title, justify="right")
    for each in found:
        s = each.semantics
        table.add_row(each.name, f"{s.tau:.3f}", f"0 ± {s.chance:.3f}", f"{s.above_chance:+.1f}")
    terminal().print(table)


def _print_table(title: str, rows: dict[str, Statistics]) -> None:
    """Print a row of mean±deviation for each bank."""
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    table.add_column("bank")
    for part in ("entropy, bits", "L1", "L2"):
        table.add_column(part, justify="right", no_wrap=True)
    for name, found in rows.items():
        table.add_row(name, str(found.entropy), str(found.l1), str(found.l2))
    terminal().print(table)


def _sound(bank: LabelBank, name: str, wav: Path | None) -> None:
    """Play the label of a class, or write it."""
    from ...sound.playback import waveform, write_wav
    from ...sound.player import play

    if bank.mel is None:
        raise VivavoceError(f"{bank.kind} labels have no sound; speech and shuffled-speech do")
    if name not in bank.classes:
        raise VivavoceError(f"the bank has no class {name!r}; {suggestion(name, bank.classes)}")
    k = bank.classes.index(name)
    samples = waveform(bank.labels[k], bank.frames[k] if bank.frames else None, bank.mel)
    if wav is not None:
        check_parent(wav)
        write_wav(wav, samples, bank.mel.sample_rate)
        say(f"wrote {wav}", err=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "label.wav")
        write_wav(path, samples, bank.mel.sample_rate)
        if trouble := play(path):
            raise VivavoceError(trouble)


if __name__ == "__main__":
    run(app)
