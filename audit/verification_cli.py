"""`audit verify`: false acceptance and false rejection, without attack and under attack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ..console import Losses, showing, terminal
from ..options import NO_PREPROCESSING, Device, ModelArgument, Preprocessing, Trust, takes_preprocessing
from .options import Epsilons, read_epsilons, watching

if TYPE_CHECKING:
    from .verification import Share, Verification


@takes_preprocessing
def verify(
    model: ModelArgument,
    data: Annotated[
        str | None,
        typer.Option(
            help="Images of the identities, a folder with a subfolder for each. Default: the model's."
        ),
    ] = None,
    epsilon: Epsilons = None,
    false_accept: Annotated[
        float,
        typer.Option(metavar="<share>", help="Also find the thresholds that accept this share of impostors."),
    ] = 0.01,
    limit: Annotated[
        int, typer.Option(min=0, help="Verify a stratified sample of this many images; 0: all.")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the sample, the claims and the attacks.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    device: Device = "cpu",
    trust_model: Trust = False,
    preprocessing: Preprocessing = NO_PREPROCESSING,
) -> None:
    """Measure how often claims of an identity are wrongly accepted or rejected, also under attack.

    Each image claims its own identity, and that of someone else. A claim is accepted if the image's embedding
    is near enough to a label of that identity. Attacks are Auto-PGD with 100 steps.

    Example: audit verify encoder.onnx --bank gallery.npz --metric cosine --threshold 0.4 --data people/
    """
    import msgspec

    from ..artifacts import open_model
    from .plan import Settings
    from .protocol import resolve
    from .verification import verify as measure

    opened = open_model(model, preprocessing, device, trust_model)
    protocol = resolve("standard", ["apgd-ce"], read_epsilons(epsilon))
    settings = Settings(protocol=protocol, data=data, limit=limit, seed=seed)
    with watching() as progress:
        found = measure(opened, settings, false_accept, progress)
    losses = Losses()
    with losses.noting(), showing():
        if as_json:
            print(msgspec.json.encode(found).decode())
        else:
            _show(found)
    losses.end()


def _show(found: Verification) -> None:
    """Print the rates at each threshold."""
    from ..artifacts.metrics import METRICS

    measure, lines = METRICS[found.metric], []
    count = found.clean.false_reject.count
    lines.append(
        f"{found.model}, {count} images of {found.data}: each claims its own identity, and another one"
    )
    for name, rates in (
        ("the model's", found.own),
        (f"accepts at most {found.wanted:.3g} of impostors", found.clean),
        (f"accepts at most {found.wanted:.3g} of attackers", found.attacked),
    ):
        if rates is not None:
            lines.append(f"threshold: {measure.word} {rates.threshold:.4g} ({name})")
            lines.append(f"  images as they are: {_line(rates.false_reject, rates.false_accept)}")
            lines.append(f"  under attack: {_line(rates.false_reject_attacked, rates.false_accept_attacked)}")
    lines.append(f"attack: Auto-PGD on every claim, epsilon {found.epsilon}; 95 % intervals")
    for line in lines:
        terminal().print(line, markup=False, highlight=False)


def _line(reject: Share, accept: Share) -> str:
    return f"false rejects {_text(reject)}, false accepts {_text(accept)}"


def _text(share: Share) -> str:
    low, high = share.interval
    return f"{share.share:.1%} ({low:.1%} to {high:.1%})"
