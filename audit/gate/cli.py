"""`audit check`, `audit compare` and `audit quantize-check`, from the command line."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...console import Losses, say, showing, terminal
from ...files import write_whole
from ...options import NO_PREPROCESSING, Device, ModelArgument, Preprocessing, Trust, takes_preprocessing
from ..options import Epsilons, Shifted, command_line, read_epsilons, watching

if TYPE_CHECKING:
    from ...artifacts import ExportedModel
    from ..plan import Settings
    from ..report import Report
    from .outputs import Compared

MaxDrop = Annotated[
    list[str] | None,
    typer.Option(
        metavar="<[row=]points>",
        help="Points that a row may drop, default 1.0; ROW=POINTS for single rows (`fgsm@*=3`). May repeat.",
    ),
]
Alpha = Annotated[float, typer.Option(help="Probability of any false alarm among the rows.")]
MaxLatency = Annotated[
    float | None,
    typer.Option(metavar="<ratio>", help="Fail above this ratio of latencies. Default: only shown."),
]
MaxSize = Annotated[
    float | None,
    typer.Option(metavar="<ratio>", help="Fail above this ratio of file sizes. Default: only shown."),
]
Output = Annotated[
    list[str] | None,
    typer.Option(
        "--output", "-o",
        help="May repeat: .xml (JUnit) .sarif gitlab:FILE .json .md .csv .png .svg .pdf",
    ),
]  # fmt: skip
Seed = Annotated[int, typer.Option(min=0, help="Seed of the sample, the targets and every attack.")]
Limit = Annotated[int, typer.Option(min=0, help="Audit a stratified sample of this many images; 0: all.")]


@takes_preprocessing
def check(
    model: ModelArgument,
    baseline: Annotated[
        Path | None,
        typer.Option(help="Report of the earlier audit. Default: the model's path with the suffix .json."),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Where the baseline's images are. Default: the path in the baseline.")
    ] = None,
    shifted: Shifted = None,
    max_drop: MaxDrop = None,
    alpha: Alpha = 0.05,
    max_latency: MaxLatency = None,
    max_size: MaxSize = None,
    update: Annotated[
        bool, typer.Option("--update", help="Write the new report over the baseline, and show what changed.")
    ] = False,
    output: Output = None,
    device: Device = "cpu",
    trust_model: Trust = False,
    preprocessing: Preprocessing = NO_PREPROCESSING,
) -> None:
    """Repeat a baseline's audit on a model, and fail if the model has become worse.

    A row fails if it dropped by more than --max-drop points and that is not chance (exact McNemar test on
    the images, corrected over the rows). Exit status: 0 passed, 1 regression, 2 bad input, 3 our error.

    Example: audit check model.onnx --baseline report.json --output junit.xml
    """
    from ...artifacts import find_model
    from ..report import load_report
    from .comparison import compare_reports
    from .ending import endings_of
    from .limits import read_limits
    from .outputs import Compared, check_outputs, relative_path
    from .repeating import OtherData, audit_again, open_like

    limits = read_limits(max_drop or (), alpha, max_latency, max_size)
    check_outputs(output or [])
    path = find_model(model)
    baseline = _found_baseline(baseline, path, model)
    earlier = load_report(baseline)
    opened = open_like(model, earlier, preprocessing, device, trust_model)
    folder, command, comparison = baseline.parent, command_line(), None
    with watching() as progress:
        try:
            endings = [] if update else endings_of(opened, earlier, limits)
            later = audit_again(
                opened, earlier, data, folder, progress, command, shifted=shifted, endings=endings
            ).report
        except OtherData as error:
            if not update:
                raise OtherData(f"{error}; give the same data, or accept the new with --update") from None
            say(f"not compared: {error}", err=True)
            later = audit_again(
                opened, earlier, data, folder, progress, command, other_data=True, shifted=shifted
            ).report
        else:
            comparison = compare_reports(earlier, later, limits, endings=endings)
    losses = Losses()
    if comparison is not None:
        _tell(Compared(comparison, earlier, later, relative_path(path)), output or [], losses)
    if update:
        with losses.noting():
            write_whole(baseline, later.to_json())
            say(f"wrote {baseline}", err=True)
    losses.end()
    if not update and comparison is not None and not comparison.passed:
        raise typer.Exit(1)


def _found_baseline(baseline: Path | None, path: Path, model: str) -> Path:
    from ...errors import VivavoceError

    found = baseline or path.with_suffix(".json")
    if not found.is_file():
        raise VivavoceError(
            f"{found}: no such baseline; create one with: audit robustness {model} --output {found.name}"
        )
    return found


def _tell(compared: Compared, output: list[str], losses: Losses) -> None:
    """Show a comparison, annotate a GitHub workflow, and write the files."""
    from .findings import github_annotations
    from .outputs import write_outputs
    from .table import show

    with losses.noting(), showing():
        show(compared.comparison, terminal())
        if compared.comparison.gate and os.environ.get("GITHUB_ACTIONS") == "true":
            for line in github_annotations(compared.comparison, compared.where):
                typer.echo(line)
    write_outputs(compared, output, losses)


@takes_preprocessing
def compare(
    before: Annotated[str, typer.Argument(metavar="A", help="A model, or a report (.json).")],
    after: Annotated[str, typer.Argument(metavar="B", help="A model or report to compare with A.")],
    data: Annotated[
        str | None, typer.Option(help="Images, for models. Default: A's own, or the path in a report.")
    ] = None,
    shifted: Shifted = None,
    protocol: Annotated[
        str | None,
        typer.Option(help="For two models: paper, standard, fast, quick or natural. Default: as A's audit."),
    ] = None,
    epsilon: Epsilons = None,
    limit: Limit = 1000,
    seed: Seed = 0,
    transfer: Annotated[
        bool, typer.Option("--transfer", help="Show whether adversarial images of A fool B, and B's A.")
    ] = False,
    alpha: Annotated[float, typer.Option(help="Probability that any row differs by chance alone.")] = 0.05,
    output: Annotated[
        list[str] | None,
        typer.Option("--output", "-o", help="May repeat: .json .md .csv .png .svg .pdf"),
    ] = None,
    device: Device = "cpu",
    trust_model: Trust = False,
    preprocessing: Preprocessing = NO_PREPROCESSING,
) -> None:
    """Compare two models or two reports image by image, in the box of the first. There is no verdict.

    Example: audit compare float.onnx int8.onnx --data photos/ --output comparison.png

    Example: audit compare ours.onnx theirs.onnx --data photos/ --transfer
    """
    from ...artifacts import open_model
    from ...errors import VivavoceError, naming
    from ..plan import Settings
    from ..protocol import default, resolve
    from ..report import Report
    from .checking import compare_audits
    from .outputs import Compared, check_outputs, relative_path
    from .transfer import chosen_protocol
    from .transfer_table import check_outputs as check_transfer

    if transfer:
        if shifted or before.endswith(".json") or after.endswith(".json"):
            raise VivavoceError("--transfer needs two models, not reports, and has no --shifted")
        check_transfer(output or [])
        models = [open_model(side, preprocessing, device, trust_model) for side in (before, after)]
        wanted = Settings(
            protocol=chosen_protocol(protocol, read_epsilons(epsilon)), data=data, limit=limit, seed=seed
        )
        _show_transfer(models, wanted, output or [])
        return
    check_outputs(output or [], gate=False)
    first, second = (_opened(side, preprocessing, device, trust_model) for side in (before, after))
    chosen = None
    if not isinstance(first, Report):
        name = protocol or ("natural" if shifted else default(first.manifest).name)
        kinds = ["shifted"] if shifted and protocol is None else []
        chosen = resolve(name, kinds, epsilons=read_epsilons(epsilon))
    settings = Settings(protocol=chosen, data=data, shifted=shifted, limit=limit, seed=seed)
    of_reports = isinstance(first, Report) and isinstance(second, Report)
    with naming(Path(after)) if of_reports else nullcontext(), watching() as progress:
        comparison, *reports = compare_audits(first, second, settings, alpha, progress)
    losses = Losses()
    _tell(Compared(comparison, reports[0], reports[1], relative_path(Path(after))), output or [], losses)
    losses.end()


def _show_transfer(models: list[ExportedModel], settings: Settings, output: list[str]) -> None:
    """Attack both models, show what transfers, and write the files."""
    from .transfer import transfer
    from .transfer_table import show, write_outputs

    with watching() as progress:
        found = transfer(models[0], models[1], settings, progress)
    losses = Losses()
    with losses.noting(), showing():
        show(found, terminal())
    write_outputs(found, output, losses)
    losses.end()


def _opened(side: str, preprocessing, device: str, trust: bool) -> Report | ExportedModel:
    from ...artifacts import open_model
    from ..report import load_report

    return load_report(side) if side.endswith(".json") else open_model(side, preprocessing, device, trust)


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
        str, typer.Option(help="quick, fast, standard (AutoAttack), paper or natural.")
    ] = "quick",
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
    from ..protocol import resolve
    from .limits import read_limits
    from .outputs import Compared, check_outputs, relative_path
    from .quantisation import check_quantised, shipping

    limits = read_limits(max_drop or (), alpha, max_latency, max_size)
    check_outputs(output or [])
    opened = open_model(model, preprocessing, trust=trust_model)
    chosen = resolve(protocol, epsilons=read_epsilons(epsilon))
    settings = Settings(protocol=chosen, data=data, limit=limit, seed=seed)
    with watching() as progress:
        comparison, *reports = check_quantised(opened, int8, settings, limits, save, progress, trust_model)
    where = relative_path(int8 or save or opened.path)
    losses = Losses()
    _tell(Compared(comparison, reports[0], reports[1], where), output or [], losses)
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
