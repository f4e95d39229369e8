"""What the commands that open a model share: options, the progress bar, the command line for the report."""

from __future__ import annotations

import inspect
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from ..console import progress_bar

if TYPE_CHECKING:
    from ..artifacts import Foreign
    from .run import Progress

PANEL = "Models without a manifest (or use <model>.toml with the same names)"


def _option(text: str, metavar: str | None = None):
    return typer.Option(help=text, rich_help_panel=PANEL, metavar=metavar)


ModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="An .onnx or TorchScript .pt file, or a shipped model: cifar10-speech, digits-speech.",
    ),
]


Device = Annotated[str, typer.Option(help="cpu or cuda.")]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust-model",
        help="Open a .pt2 file, or a TorchScript file with unknown operators; either may run its own code.",
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        help="Ray cluster: HOST:PORT, ray://HOST:PORT, auto or local. Default: this machine's "
        "cluster, or Ray on this machine alone."
    ),
]


def check_engine(engine: str, **of_ray: object) -> None:
    """Reject an unknown engine, and options that only Ray has without it.

    Args:
        engine: the option's value.
        of_ray: options of Ray by name; None: not given.

    Raises:
        VivavoceError: the message names the option.
    """
    from ..errors import VivavoceError

    if engine not in ("local", "ray"):
        raise VivavoceError(f"--engine must be local or ray, not {engine!r}")
    given = [name for name, value in of_ray.items() if value is not None]
    if engine == "local" and given:
        raise VivavoceError(f"--{given[0]} needs --engine ray")


@dataclass(frozen=True)
class Feeding:
    """Preprocessing options for a model without a manifest."""

    scale: Annotated[
        float | None, _option("The model gets (x * SCALE - MEAN) / STD for x in 0..1, e.g. 255.")
    ] = None
    mean: Annotated[str | None, _option("One value, or one per channel: 0.485,0.456,0.406.", "M[,M,M]")] = (
        None
    )
    std: Annotated[str | None, _option("One value, or one per channel.", "S[,S,S]")] = None
    layout: Annotated[str | None, _option("nchw or nhwc. Default: inferred from the input's shape.")] = None
    channels: Annotated[str | None, _option("rgb, bgr or grey.")] = None
    size: Annotated[str | None, _option("Height and width, if the file leaves them open.", "H[xW]")] = None
    resize: Annotated[int | None, _option("Resize the shorter side to this before the crop.")] = None
    crop: Annotated[
        int | None,
        _option("Side of the centre crop, which does not need --resize."),
    ] = None
    interpolation: Annotated[str | None, _option("nearest, bilinear, bicubic or lanczos.")] = None
    output_name: Annotated[str | None, _option("Which output holds the scores.")] = None
    classes: Annotated[
        str | None, _option("File with one class name per line, in the order of the scores.", "FILE")
    ] = None

    def foreign(self) -> Foreign:
        """The same for `open_model`.

        Raises:
            VivavoceError: a value cannot be understood; the message names its option.
        """
        import msgspec

        from ..artifacts import Foreign
        from ..errors import VivavoceError

        given = vars(self) | {
            "mean": _numbers("mean", self.mean), "std": _numbers("std", self.std), "size": _size(self.size)
        }  # fmt: skip
        try:
            return msgspec.convert({k: v for k, v in given.items() if v is not None}, Foreign)
        except msgspec.ValidationError as error:
            what, _, where = str(error).partition(" - at `$.")
            raise VivavoceError(f"--{where.rstrip('`').replace('_', '-')}: {what}") from None


NO_FEEDING = Feeding()


def feeds(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the fields of `Feeding` as options, gathered into its argument `feeding`."""
    own = inspect.signature(command, eval_str=True).parameters.values()
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        for name, kind in get_type_hints(Feeding, include_extras=True).items()
    ]

    @wraps(command)
    def gathered(**given: Any) -> None:
        feeding = Feeding(**{option.name: given.pop(option.name) for option in options})
        command(**given, feeding=feeding)

    parameters = [*(p for p in own if p.name != "feeding"), *options]
    gathered.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    gathered.__annotations__ = {p.name: p.annotation for p in parameters}
    return gathered


def _numbers(option: str, text: str | None) -> list[float] | None:
    from ..errors import VivavoceError

    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise VivavoceError(
            f"--{option} must be a number or numbers separated by commas, not {text!r}"
        ) from None


def _size(text: str | None) -> list[int] | None:
    from ..errors import VivavoceError

    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdecimal() and int(part) for part in parts):
        raise VivavoceError(f"--size must be a number or HEIGHTxWIDTH, such as 224 or 224x320, not {text!r}")
    return [int(parts[0]), int(parts[-1])]


def command_line() -> str:
    """The command line, without folders of this machine."""
    return shlex.join(["audit", *(Path(a).name if Path(a).is_absolute() else a for a in sys.argv[1:])])


@contextmanager
def watching() -> Iterator[Progress]:
    """A progress bar for audits."""
    with progress_bar() as bar:
        task = bar.add_task("attacking", total=None, note="")

        def watch(what: str, done: int, steps: int) -> None:
            if steps:
                bar.update(task, completed=done, total=steps, note=what)
            else:
                bar.update(task, note=what)

        yield watch
