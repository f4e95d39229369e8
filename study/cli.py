"""`vivavoce study run`, `status`, `table` and `plot`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..audit.options import Address, check_engine
from ..console import Losses, make_app, need, progress_bar, say
from ..errors import VivavoceError
from .figures import FIGURES

if TYPE_CHECKING:
    from .engine import Engine
    from .plan import Plan
    from .records import Record, Records
    from .running import Step

app = make_app("The papers' experiments: many runs trained, exported, audited and compared.")

NAMED = 3
"""Cells that a reason for failing names; of the others it tells the number."""

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The study's folder: --out of `study run`.")]


@app.command("list")
def list_studies() -> None:
    """Show the studies that ship, and how many cells their budgets have."""
    from .plan import budgets, read_plan, shipped

    for name in shipped():
        plans = [read_plan(name, budget) for budget in budgets(name)]
        counts = ", ".join(f"{plan.budget} {len(plan.cells())}" for plan in plans)
        say(f"{name}: {plans[0].title}; cells: {counts}")


@app.command()
def run(
    study: Annotated[str, typer.Argument(help="A study that ships (`study list`), or a .toml file.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the study.", show_default="runs/STUDY-BUDGET")
    ] = None,
    budget: Annotated[
        str,
        typer.Option(
            help="`paper`: as published; `short`: hours; `smoke`: minutes, on digits; or a different table "
            "[budget.NAME] of the study."
        ),
    ] = "paper",
    grid: Annotated[
        list[str] | None,
        typer.Option(help="Override an axis, as in label=speech,constant or seed=0; may repeat."),
    ] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="A field of the recipe, as field=value; may repeat.")
    ] = None,
    engine: Annotated[str, typer.Option(help="`local`: this machine; `ray`: a Ray cluster.")] = "local",
    workers: Annotated[
        int | None,
        typer.Option("--workers", "--parallel", min=1, help="Cells at a time.", show_default="1"),
    ] = None,
    address: Address = None,
    cpus: Annotated[int | None, typer.Option(min=1, help="ray: CPUs per cell.", show_default="1")] = None,
    device: Annotated[
        str, typer.Option(help="auto, cpu or cuda; on Ray, cuda reserves a GPU for each cell.")
    ] = "auto",
    minutes: Annotated[
        float | None,
        typer.Option(help="Train as many epochs as fit into this time, after two short trials."),
    ] = None,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="Continue a study whose settings were different.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Start a large study without confirmation.")
    ] = False,
) -> None:
    """Train, export and audit every cell of a study.

    Cells that are finished are not run again, and one that was stopped goes on: give the command again.
    A cell that fails does not stop the others.

    Example: vivavoce study run robustness --budget smoke
    """
    need("torch", "train", "training")
    from ..train.recipes import parse_changes
    from ..train.run import pick_device
    from .plan import read_plan
    from .running import MANY, begin
    from .running import run as run_cells
    from .watching import watching

    plan = read_plan(study, budget, _axes(grid or []), parse_changes(change or ()))
    chosen = _engine(engine, workers, address, cpus, device)
    pick_device(device)
    cells = len(plan.cells())
    if cells > MANY and not yes:
        _ask(cells, study)
    out = out or Path("runs") / f"{plan.name}-{plan.budget}"
    if minutes is not None:
        plan = _fitted(plan, out, chosen, device, minutes)
    records = begin(plan, out, accept_changes)
    before = len(records.finished)
    say(f"{plan.title}: {cells} cells in {out}" + (f", {before} finished before" if before else ""))
    with progress_bar() as bar:
        task = bar.add_task("cells", total=cells, completed=before, note="")

        def tell(step: Step) -> None:
            bar.update(task, completed=step.done, note=_left(step))
            bar.console.print(_told(step))

        def show(lines: list[str]) -> None:
            bar.below = lines

        left = [record for record in records.records if not record.result]
        with watching(left if bar.console.is_terminal else [], show):
            run_cells(records, chosen, device, tell)
    _end(records)


def _fitted(plan: Plan, out: Path, engine: Engine, device: str, minutes: float) -> Plan:
    from .fitting import fitted
    from .local import LocalEngine

    if not isinstance(engine, LocalEngine):
        raise VivavoceError("--minutes needs --engine local")
    if not 0 < minutes < float("inf"):
        raise VivavoceError(f"--minutes {minutes:g}: give a number above 0")
    return fitted(plan, out, engine, device, minutes, say)


def _axes(given: list[str]) -> dict[str, list[str]]:
    axes = {}
    for pair in given:
        axis, equals, values = pair.partition("=")
        if not equals or not values:
            raise VivavoceError(f"--grid {pair}: give AXIS=VALUE,VALUE such as seed=0,1")
        axes[axis.strip()] = [value.strip() for value in values.split(",")]
    return axes


def _engine(name: str, workers: int | None, address: str | None, cpus: int | None, device: str) -> Engine:
    check_engine(name, address=address, cpus=cpus)
    if name == "ray":
        from .on_ray import RayEngine

        return RayEngine(address, workers, cpus=cpus or 1, gpus=1 if device == "cuda" else 0)
    from .local import LocalEngine

    return LocalEngine(workers or 1)


def _ask(cells: int, study: str) -> None:
    """Ask on a terminal, refuse elsewhere."""
    question = f"{study} has {cells} cells, each a model that is trained"
    if not sys.stdin.isatty():
        raise VivavoceError(f"{question}; give --yes if that is meant, or a smaller --budget or --grid")
    if not typer.confirm(f"{question}. Start?"):
        raise typer.Exit


def _told(step: Step) -> str:
    """A line for a cell that has ended."""
    result = step.record.result
    if step.reason or result is None:
        outcome = f"failed: {step.reason}"
    else:
        outcome = f"test {result.accuracy['test']:.1%}, {result.seconds:.0f} s"
        if doubt := step.record.doubt:
            outcome += f", warning: {doubt}"
    return f"[{step.done}/{step.total}] {step.record.cell.name}: {outcome}{_left(step, '; ')}"


def _left(step: Step, before: str = "") -> str:
    if step.left is None or step.done == step.total:
        return ""
    minutes = step.left / 60
    told = f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"
    return f"{before}about {told} left"


def _end(records: Records) -> None:
    """Write the tables, say what failed, and what to do next; exit 1 if a cell failed."""
    from ..files import write_whole
    from .records import grouped
    from .tables import markdown, table_csv

    losses = Losses()
    failed = [record for record in records.records if not record.result]
    if records.finished:
        for name, content in (("table.md", markdown(records)), ("table.csv", table_csv(records))):
            with losses.noting():
                write_whole(records.folder / name, content.encode())
        counts = f"{len(records.finished)} of {len(records.records)} cells finished"
        say(f"{counts}; wrote {records.folder / 'table.md'} and table.csv")
    for _, alike in grouped(failed, lambda record: (_reason(record),)):
        say(f"failed: {_why(*alike)}", err=True)
    for figure in records.plan.figures[: 1 if not failed else 0]:
        say(f"next: vivavoce study plot {figure} {records.folder} -o {figure}.png")
    losses.end()
    if failed:
        typer.echo("the same command tries the failed cells again", err=True)
        raise typer.Exit(1)


def _reason(record: Record) -> str:
    return record.failure.reason if record.failure else "not started"


def _why(*alike: Record) -> str:
    """The cells that failed for one reason, the first three by name, and that reason."""
    names = [record.cell.name for record in alike[:NAMED]]
    if len(alike) > NAMED:
        names.append(f"{len(alike) - NAMED} more")
    tried = max(record.failure.tries if record.failure else 0 for record in alike)
    return f"{', '.join(names)}: {_reason(alike[0])}" + (f" (tried {tried} times)" if tried > 1 else "")


@app.command()
def status(folder: Folder) -> None:
    """Show how far a study is: a line a cell that is not finished."""
    from .records import open_study

    records = open_study(folder)
    states = {"finished": 0, "failed": 0, "begun": 0, "waiting": 0}
    for record in records.records:
        state, told = _state(record)
        states[state] += 1
        if state in ("failed", "begun"):
            say(f"{state}: {told}")
    counts = ", ".join(f"{n} {state}" for state, n in states.items() if n)
    say(f"{records.plan.title}, budget {records.plan.budget}: {len(records.records)} cells, {counts}")


def _state(record: Record) -> tuple[str, str]:
    if record.result:
        return "finished", record.cell.name
    if record.failure:
        return "failed", _why(record)
    if record.history:
        return "begun", f"{record.cell.name}: {len(record.history)} epochs"
    return "waiting", record.cell.name


@app.command()
def table(
    folder: Folder,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write a .md or .csv file instead of printing.")
    ] = None,
) -> None:
    """Show the table of a study's finished cells, or write it to a file.

    Example: vivavoce study table runs/robustness-smoke -o table.csv
    """
    from .records import open_study
    from .tables import check_format, markdown, table_csv

    records = open_study(folder)
    if output is None:
        typer.echo(markdown(records), nl=False)
        return
    check_format(output)
    text = table_csv(records) if output.suffix == ".csv" else markdown(records)
    from ..files import write_whole

    write_whole(output, text.encode())
    say(f"wrote {output}", err=True)


@app.command()
def plot(
    figure: Annotated[str, typer.Argument(help=f"One of {', '.join(FIGURES)}.")],
    folder: Folder,
    output: Annotated[Path, typer.Option("--output", "-o", help="File to draw: .png, .svg or .pdf.")],
    dark: Annotated[bool, typer.Option("--dark", help="Use a dark background.")] = False,
) -> None:
    """Draw a figure of a study.

    Example: vivavoce study plot robustness runs/robustness-smoke -o robustness.png
    """
    need("matplotlib", "plot", "a figure")
    from .figures import draw
    from .records import open_study

    draw(figure, open_study(folder), output, dark)
    say(f"wrote {output}", err=True)
