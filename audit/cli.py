"""`audit`: attacks on an exported file, from the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..console import Losses, make_app, run, say, showing, terminal
from ..options import NO_PREPROCESSING, Device, ModelArgument, Preprocessing, Trust, takes_preprocessing
from .explaining.cli import explain
from .gate.cli import check, compare
from .gate.quantisation_cli import quantize_check
from .gradient_file import gradient
from .inspection_cli import inspect
from .options import (
    Address,
    BudgetOption,
    Epsilons,
    PatchSizes,
    Severities,
    Shifted,
    check_engine,
    command_line,
    images_at_a_time,
    read_epsilons,
    read_patch_sizes,
    read_severities,
    watching,
)
from .verification_cli import verify
from .writing.cli import show as show_report

if TYPE_CHECKING:
    from ..artifacts import ExportedModel
    from .protocol import Protocol
    from .run import Audit

app = make_app("Audit the robustness of an exported image classifier, on the file itself.")


@app.command()
@takes_preprocessing
def robustness(
    model: ModelArgument,
    data: Annotated[
        str | None,
        typer.Option(
            help="digits; mnist, fashion-mnist, cifar10 or cifar100, also as NAME:FOLDER; a folder with one "
            "subfolder per class; or an .npz. Default: the model's own."
        ),
    ] = None,
    shifted: Shifted = None,
    protocol: Annotated[
        list[str] | None,
        typer.Option(
            help="paper, standard (AutoAttack), fast (nearly its figure with less work), quick, or natural "
            "(noise, blur, weather, light, geometry); may repeat. Default: paper for vivavoce's files, else "
            "standard."
        ),
    ] = None,
    attack: Annotated[
        list[str] | None, typer.Option(help="Only this attack, or kind of change; may repeat.")
    ] = None,
    epsilon: Epsilons = None,
    severity: Severities = None,
    epsilon_space: Annotated[
        str | None,
        typer.Option(help="Units of epsilon: pixel (0..1) or normalized. Default: the protocol's."),
    ] = None,
    patch_size: PatchSizes = None,
    patch_shape: Annotated[
        str | None, typer.Option(help="Shape of patches: square or disc. Default: square.")
    ] = None,
    smallest: Annotated[
        bool,
        typer.Option("--smallest", help="Find the smallest change of each image: the median, and the curve."),
    ] = False,
    norm: Annotated[
        str | None, typer.Option(help="linf, l2, l1 or l0 (pixels changed). Default: linf.")
    ] = None,
    as_released: Annotated[
        bool,
        typer.Option("--as-released", help="Also run the paper's attacks as its released code does."),
    ] = False,
    targets: Annotated[
        Path | None, typer.Option(help="CSV file `file,target`: attack every image towards its target.")
    ] = None,
    references: Annotated[
        bool,
        typer.Option("--references", help="Also measure random noise and the smallest perturbation."),
    ] = False,
    baselines: Annotated[bool, typer.Option("--baselines", hidden=True)] = False,
    limit: Annotated[
        int, typer.Option(min=0, help="Audit a stratified sample of this many images; 0: all.")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the sample, the targets and every attack.")] = 0,
    batch_size: Annotated[
        str, typer.Option(help="Images at a time, or `auto`: as many as keep memory under 2 GB.")
    ] = "auto",
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "--output",
            "-o",
            help="Write the report; may repeat: .json .html .md .csv .xml .sarif .png .svg .pdf.",
        ),
    ] = None,
    save_patterns: Annotated[
        Path | None,
        typer.Option(help="Folder for the patches and perturbations that universal attacks learn, as PNG."),
    ] = None,
    wav: Annotated[
        Path | None, typer.Option(help="Folder for the spoken answers to a few clean and adversarial images.")
    ] = None,
    budget: BudgetOption = None,
    resume: Annotated[
        Path | None, typer.Option(help="Save the state in this file, and resume from it if it exists.")
    ] = None,
    engine: Annotated[
        str,
        typer.Option(help="local, or ray: the sample in shards on a Ray cluster, with the same report."),
    ] = "local",
    address: Address = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Shards at a time on Ray. Default: as many as fit."),
    ] = None,
    device: Device = "cpu",
    trust_model: Trust = False,
    preprocessing: Preprocessing = NO_PREPROCESSING,
) -> None:
    """Attack a model and report its accuracy under attack, and whether the attacks can be trusted.

    With --protocol natural or --shifted, measure its accuracy on images that changed without an attack.

    Example: audit robustness digits-speech --output report.json --output curves.png

    Example: audit robustness model.onnx --data clean/ --shifted night/

    Example: audit robustness model.onnx --data photos/ --protocol quick --protocol natural -o baseline.json
    """
    from ..artifacts import open_model
    from .budget import Budget
    from .plan import Settings
    from .report import check_distinct
    from .several import audit_all
    from .state import kept_in
    from .writing.outputs import check_outputs, check_sounds
    from .writing.patterns import check_patterns

    if baselines:
        typer.echo("note: --baselines is now --references; the next release removes the old name", err=True)
    check_outputs(output or [])
    check_distinct(protocol or ())
    check_engine(engine, address=address, workers=workers)
    if budget is not None:
        Budget.read(budget)
    opened = open_model(model, preprocessing, device, trust_model)
    check_sounds(opened, wav)
    chosen = _chosen(
        opened,
        protocol,
        shifted is not None,
        attacks=attack or (),
        epsilons=read_patch_sizes(patch_size, attack, epsilon) or read_epsilons(epsilon),
        space=epsilon_space,
        norm=norm,
        as_released=as_released,
        targeted=targets is not None,
        severities=read_severities(severity),
        patch_shape=patch_shape,
        smallest=smallest,
    )
    check_patterns(save_patterns, chosen)
    settings = Settings(
        data=data,
        shifted=shifted,
        limit=limit,
        seed=seed,
        batch_size=images_at_a_time(batch_size),
        targets=targets,
        resume=resume,
        budget=budget,
        references=references or baselines,
        command=command_line(),
    )
    if engine == "ray":
        from .on_ray import RayShards

        spread = RayShards(model, preprocessing, device, trust_model, data, address, workers)
        settings = replace(settings, spread=spread)
    if resume and resume.exists():
        say(f"resuming: {resume} has {kept_in(resume)}", err=True)
    with watching(estimated=engine == "local") as progress:
        audits = audit_all(opened, settings, chosen, progress, progress.left)
    _deliver(audits, output or [], wav, save_patterns, resume)


def _chosen(
    model: ExportedModel, names: list[str] | None, shifted: bool, *, attacks: Sequence[str], **asked: Any
) -> list[Protocol]:
    """The protocols that the options name, or the usual one for the model.

    Args:
        model: opened.
        names: as given to `--protocol`.
        shifted: whether a second set of images is given.
        attacks: as given to `--attack`.
        asked: the other arguments of `resolve`.
    """
    from .protocol import default, resolve

    if names and len(names) > 1 and "natural" in names:
        return [_share(name == "natural", name, attacks, asked) for name in names]
    if names:
        return [resolve(name, attacks, **asked) for name in names]
    if shifted:
        return [resolve("natural", attacks or ["shifted"], **asked)]
    usual = default(model.manifest, asked["norm"], attacks, asked["smallest"]).name
    return [resolve(usual, attacks, **asked)]


def _share(natural: bool, name: str, attacks: Sequence[str], asked: dict[str, Any]) -> Protocol:
    """A protocol beside others, with those of the options that are for its kind."""
    from .natural.kinds import KINDS
    from .protocol import resolve

    own = [attack for attack in attacks if (attack in KINDS) == natural]
    return resolve(
        name, own, **{key: value for key, value in asked.items() if (key == "severities") == natural}
    )


def _deliver(
    audits: list[Audit],
    output: list[Path],
    wav: Path | None,
    save_patterns: Path | None,
    resume: Path | None,
) -> None:
    """Show finished audits, write their files, and keep the reports if no file holds them."""
    from .kept import keep
    from .report import joined
    from .writing.outputs import Finished, write_outputs, write_sounds
    from .writing.patterns import write_patterns
    from .writing.table import show_all

    reports, losses = [audit.report for audit in audits], Losses()
    with losses.noting(), showing():
        show_all(reports, terminal())
    write_outputs(Finished(joined(reports), audits), output, losses)
    write_sounds(audits, wav, losses)
    write_patterns(audits, save_patterns, losses)
    if (not output or losses) and (path := keep(joined(reports))):
        say(f"kept {path}; audit show opens it", err=True)
    losses.end()
    if resume and any(report.data.planned for report in reports):
        say(f"{resume} keeps the finished images; run the same command again to go on", err=True)
    elif resume:
        resume.unlink(missing_ok=True)


app.command()(inspect)
app.command()(gradient)
app.command()(explain)
app.command()(verify)
app.command("show")(show_report)
app.command()(check)
app.command()(compare)
app.command()(quantize_check)


def main() -> None:
    """Entry point of `audit`."""
    run(app)
