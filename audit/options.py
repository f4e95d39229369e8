"""What the commands that open a model share: options, the progress bar, the command as it was given."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import progress_bar

if TYPE_CHECKING:
    from ..artifacts import Foreign
    from .walk import Progress

PANEL = "Models without a manifest (or use <model>.toml with the same names)"


def _option(text: str, metavar: str | None = None):
    return typer.Option(help=text, rich_help_panel=PANEL, metavar=metavar)


ModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="An .onnx or TorchScript .pt file, or a shipped model: digits-speech."
    ),
]


Device = Annotated[str, typer.Option(help="cpu or cuda.")]
Trust = Annotated[
    bool,
    typer.Option("--trust-model", help="Open a .pt2 file, whose reader may run code that it brings along."),
]
Scale = Annotated[float | None, _option("The model gets (x * SCALE - MEAN) / STD for x in 0..1, e.g. 255.")]
Mean = Annotated[str | None, _option("One value, or one per channel: 0.485,0.456,0.406.", "M[,M,M]")]
Std = Annotated[str | None, _option("One value, or one per channel.", "S[,S,S]")]
Layout = Annotated[str | None, _option("nchw or nhwc. Default: seen from the input's shape.")]
Channels = Annotated[str | None, _option("rgb, bgr or grey.")]
Size = Annotated[str | None, _option("Height and width, where the file leaves them open.", "H[xW]")]
Resize = Annotated[int | None, _option("Resize the shorter side to this before the crop.")]
Crop = Annotated[int | None, _option("Side of the centre crop.")]
Interpolation = Annotated[str | None, _option("nearest, bilinear, bicubic or lanczos.")]
OutputName = Annotated[str | None, _option("Which output holds the scores.")]
Classes = Annotated[
    str | None, _option("File with one class name a line, in the order of the scores.", "FILE")
]


def foreign_options(
    scale: float | None,
    mean: str | None,
    std: str | None,
    layout: str | None,
    channels: str | None,
    size: str | None,
    resize: int | None,
    crop: int | None,
    interpolation: str | None,
    output_name: str | None,
    classes: str | None,
) -> Foreign:
    """Gather the options as a `Foreign`.

    Raises:
        VivavoceError: a value cannot be understood; the message names its option.
    """
    import msgspec

    from ..artifacts import Foreign
    from ..errors import VivavoceError

    given = {
        "scale": scale, "mean": _numbers("mean", mean), "std": _numbers("std", std), "layout": layout,
        "channels": channels, "size": _size(size), "resize": resize, "crop": crop,
        "interpolation": interpolation, "output_name": output_name, "classes": classes,
    }  # fmt: skip
    try:
        return msgspec.convert({k: v for k, v in given.items() if v is not None}, Foreign)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$.")
        raise VivavoceError(f"--{where.rstrip('`').replace('_', '-')}: {what}") from None


def _numbers(option: str, text: str | None) -> list[float] | None:
    from ..errors import VivavoceError

    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise VivavoceError(
            f"--{option}: {text!r} is not a number, nor numbers with commas between"
        ) from None


def _size(text: str | None) -> list[int] | None:
    from ..errors import VivavoceError

    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdecimal() and int(part) for part in parts):
        raise VivavoceError(f"--size: {text!r} is not a size; give 224 or 224x320 (height x width)")
    return [int(parts[0]), int(parts[-1])]


def command_line() -> str:
    """The command as it was given, without folders of this machine."""
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
