"""`audit check` and `audit compare`, from the command line."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...console import Losses, say, showing, terminal
from ...files import write_whole
from ...options import NO_PREPROCESSING, Device, ModelArgument, Preprocessing, Trust, takes_preprocessing
from ..options import Epsilons, Shifted, command_line, protocols_of, read_epsilons, watching

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
        tell(Compared(comparison, earlier, later, relative_path(path)), output or [], losses)
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


def tell(compared: Compared, output: list[str], losses: Losses) -> None:
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
        list[str] | None,
        typer.Option(
            help="For two models: paper, standard, fast, quick or natural; may repeat. Default: as A's audit."
        ),
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
    from ..protocol import default
    from ..report import Report
    from .checking import compare_audits
    from .outputs import Compared, check_outputs, relative_path
    from .transfer import chosen_protocol
    from .transfer_table import check_outputs as check_transfer

    if transfer:
        if shifted or before.endswith(".json") or after.endswith(".json"):
            raise VivavoceError("--transfer needs two models, not reports, and has no --shifted")
        if protocol and len(protocol) > 1:
            raise VivavoceError(
                f"--transfer takes one --protocol; run it for each of {' and '.join(protocol)}"
            )
        check_transfer(output or [])
        models = [open_model(side, preprocessing, device, trust_model) for side in (before, after)]
        wanted = Settings(
            protocol=chosen_protocol(protocol[0] if protocol else None, read_epsilons(epsilon)),
            data=data,
            limit=limit,
            seed=seed,
        )
        _show_transfer(models, wanted, output or [])
        return
    check_outputs(output or [], gate=False)
    first, second = (_opened(side, preprocessing, device, trust_model) for side in (before, after))
    settings, chosen = Settings(data=data, shifted=shifted, limit=limit, seed=seed), []
    if not isinstance(first, Report):
        usual = "natural" if shifted else default(first.manifest).name
        chosen = protocols_of(protocol, usual, read_epsilons(epsilon), ["shifted"] if shifted else [])
    of_reports = isinstance(first, Report) and isinstance(second, Report)
    with naming(Path(after)) if of_reports else nullcontext(), watching() as progress:
        comparison, *reports = compare_audits(first, second, settings, alpha, progress, chosen)
    losses = Losses()
    tell(Compared(comparison, reports[0], reports[1], relative_path(Path(after))), output or [], losses)
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
