"""What the listener heard: on the terminal, as JSON, as CSV, as a picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from ...documents import json_of
from ...drawing import rendered
from ...errors import VivavoceError
from ...files import check_parent, write_whole
from ...text import cell
from .hearing import FEWEST, STEP, UNDERSTOOD, Bin, ClassCount, Heard, Hearing

PICTURES = (".png", ".svg", ".pdf")
KINDS = (".json", ".csv", *PICTURES)
SHOWN = 20
"""Classes in the table on the terminal: the worst of them."""
COLOUR, OTHER = "#1f5fa8", "#b3541e"


def check_outputs(outputs: Sequence[Path]) -> None:
    """Refuse, before any work, what could not be written after it.

    Raises:
        VivavoceError: the suffix is not in `KINDS`, or the folder does not exist.
    """
    for path in outputs:
        if path.suffix.lower() not in KINDS:
            raise VivavoceError(f"{path}: outputs are {', '.join(KINDS)}")
        check_parent(path)


def write(hearing: Hearing, sounds: Sequence[Heard], path: Path) -> None:
    """Write one output; the suffix chooses its kind.

    Raises:
        VivavoceError: it cannot be written.
    """
    if path.suffix.lower() == ".json":
        content = json_of(hearing)
    elif path.suffix.lower() == ".csv":
        content = table_of(hearing, sounds).encode()
    else:
        content = picture(hearing, path.suffix.lower().removeprefix("."))
    write_whole(path, content)


def table_of(hearing: Hearing, sounds: Sequence[Heard]) -> str:
    """Every sound as a row of CSV."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("file", "class", "decided", "heard", "loss", "within"))
    words = [*hearing.words, ""]
    for s in sounds:
        named = (cell(words[k]) for k in (s.true, s.decided, s.heard))
        measured = ("", "")
        if s.loss is not None and hearing.threshold is not None:
            measured = (f"{s.loss:.4f}", s.loss < hearing.threshold)
        rows.writerow((cell(s.name), *named, *measured))
    return text.getvalue()


def show(hearing: Hearing, console: Console) -> None:
    """Print the counts."""
    n, k = hearing.n, len(hearing.words)
    console.print(f"{hearing.model}: {hearing.data}, {hearing.sample}; the listener chooses among {k} words")
    counts = [("heard as the true class", hearing.heard, n)]
    if hearing.threshold is not None and hearing.within is not None and hearing.agree is not None:
        counts.append((f"loss to the true label < {hearing.threshold:g}", hearing.within, n))
        counts.append(("the two agree", hearing.agree, n))
    counts.append(("decided right", hearing.nearest, n))
    counts.append(("of these, heard as that class", hearing.understood, hearing.nearest))
    for what, count, of in counts:
        console.print(f"  {what:34} {count / max(of, 1):6.1%}  ({count} of {of})")
    console.print(_classes(hearing.classes))
    if len(hearing.classes) > SHOWN:
        console.print(f"the {SHOWN} classes heard worst of {len(hearing.classes)}; -o heard.json has all")
    if hearing.curve or hearing.blends:
        console.print(_curve(hearing))
    for line in _confusions(hearing):
        console.print(line)
    if hearing.blends:
        console.print(_suggestion(hearing))
    console.print(
        "the listener always chooses one of the words; it cannot say that it understood none", style="dim"
    )


def _classes(classes: Sequence[ClassCount]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("class")
    measured = all(c.within is not None for c in classes)
    for name in ("sounds", "right", "heard", *(("within", "agree") if measured else ())):
        table.add_column(name, justify="right")
    chosen = classes if len(classes) <= SHOWN else sorted(classes, key=lambda c: c.heard / c.n)[:SHOWN]
    for c in chosen:
        figures = (c.n, c.nearest, c.heard, *((c.within, c.agree) if measured else ()))
        table.add_row(c.name, *map(str, figures))
    return table


def _curve(hearing: Hearing) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("loss")
    kinds = [("predictions heard", hearing.curve)] + [("blends heard", hearing.blends)] * bool(hearing.blends)
    for title, _ in kinds:
        table.add_column(title, justify="right")
    for low in sorted({b.low for _, bins in kinds for b in bins}):
        cells = [next((f"{b.heard} of {b.n}" for b in bins if b.low == low), "") for _, bins in kinds]
        table.add_row(f"{low:g}-{low + STEP:g}", *cells)
    return table


def _confusions(hearing: Hearing, most: int = 5) -> list[str]:
    """The commonest mishearings in words."""
    table = np.array(hearing.confusion)
    table[np.arange(len(table)), np.arange(len(table))] = 0
    order = np.argsort(-table, axis=None, kind="stable")[:most]
    words = [*(f'"{w}"' for w in hearing.words), "nothing"]
    pairs = [(*np.unravel_index(i, table.shape), table.flat[i]) for i in order]
    return [
        f"{words[a]} was heard as {words[b]} {count} time{'s' if count > 1 else ''}"
        for a, b, count in pairs
        if count
    ]


def _suggestion(hearing: Hearing) -> str:
    if hearing.suggested is None:
        return "no threshold to suggest: even sounds near their label are not understood"
    assert hearing.threshold is not None
    return (
        f"suggested threshold: {hearing.suggested:g} (up to there at least {UNDERSTOOD:.0%} of predictions "
        f"and blends are understood in every step of the loss); the model's is {hearing.threshold:g}"
    )


def picture(hearing: Hearing, kind: str) -> bytes:
    """The confusions, and recognition against loss, as a picture."""
    from matplotlib.figure import Figure

    measured = hearing.threshold is not None
    figure = Figure(figsize=(10.5 if measured else 5.6, 4.8), layout="constrained")
    panels = figure.subplots(1, 1 + measured, squeeze=False)[0]
    _draw_confusion(panels[0], hearing)
    if measured:
        _draw_curve(panels[1], hearing)
    figure.suptitle(f"{hearing.model} heard on {hearing.n} images of {hearing.data}", fontsize=11)
    return rendered(figure, kind, dpi=160)


def _draw_confusion(panel, hearing: Hearing) -> None:
    table = np.array(hearing.confusion)
    if not table[:, -1].any():
        table = table[:, :-1]
    share = table / np.maximum(table.sum(1, keepdims=True), 1)
    panel.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    words = [*hearing.words, "nothing"][: table.shape[1]]
    panel.set_xlabel("heard")
    panel.set_ylabel("true class")
    if len(hearing.words) <= SHOWN:
        panel.set_xticks(range(len(words)), words, rotation=45, ha="right")
        panel.set_yticks(range(len(hearing.words)), hearing.words)
        for (row, column), count in np.ndenumerate(table):
            if count:
                colour = "white" if share[row, column] > 0.5 else "black"
                panel.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=8)
    panel.set_title("images by word heard", fontsize=10)


def _draw_curve(panel, hearing: Hearing) -> None:
    for name, bins, colour, mark in (
        ("predictions", hearing.curve, COLOUR, "o"),
        ("blends of two labels", hearing.blends, OTHER, "s"),
    ):
        if bins:
            _draw_bins(panel, name, bins, colour, mark)
    assert hearing.threshold is not None
    panel.axvline(hearing.threshold, color="black", lw=1, ls="--", label=f"threshold {hearing.threshold:g}")
    if hearing.suggested is not None and hearing.suggested != hearing.threshold:
        panel.axvline(hearing.suggested, color=OTHER, lw=1, ls=":", label=f"suggested {hearing.suggested:g}")
    panel.set_ylim(-3, 103)
    panel.set_xlim(left=0)
    panel.set_xlabel("mean smooth L1 to the true label")
    panel.set_ylabel("heard as the true class, %")
    panel.set_title("recognition against loss (size: number of sounds)", fontsize=10)
    panel.grid(alpha=0.25)
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=4, fontsize=9)


def _draw_bins(panel, name: str, bins: Sequence[Bin], colour: str, mark: str) -> None:
    x, y = [(b.low + b.high) / 2 for b in bins], [100 * b.heard / b.n for b in bins]
    if min(b.n for b in bins) >= FEWEST or len(bins) > 10:
        panel.plot(x, y, "-", color=colour, alpha=0.5, lw=1)
    panel.scatter(
        x, y, [15 + 4 * min(b.n, 60) for b in bins], color=colour, marker=mark, alpha=0.8, label=name
    )
