"""Options of the commands that open a model."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from typing import Annotated, Any, get_type_hints

import typer

from .artifacts.preprocessing import FEEDING, Fixed, Preprocessing


def _option(help: str, metavar: str | None, panel: str):  # noqa: A002 -- the keys of a field's metadata
    return typer.Option(help=help, rich_help_panel=panel, metavar=metavar)


ModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="An .onnx or TorchScript .pt file, or a shipped model: cifar10-speech, digits-speech, "
        "digits-robust-speech.",
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
NO_PREPROCESSING = Preprocessing()


def takes_preprocessing(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the fields of `Preprocessing` as options, gathered into its argument `preprocessing`.

    A field for whose name the command has an option of its own is left to `<model>.toml`.
    """
    return _taking(command, {option.name for option in fields(Preprocessing)})


def takes_feeding(command: Callable[..., None]) -> Callable[..., None]:
    """The same with the options of how images are fed alone, without those of a label bank."""
    return _taking(command, {o.name for o in fields(Preprocessing) if o.metadata["panel"] == FEEDING})


def _taking(command: Callable[..., None], names: set[str]) -> Callable[..., None]:
    own = inspect.signature(command, eval_str=True).parameters
    kinds = get_type_hints(Preprocessing)
    free = [option for option in fields(Preprocessing) if option.name in names - own.keys()]
    options = [
        inspect.Parameter(
            option.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[_as_given(kinds[option.name]), _option(**option.metadata)],
        )
        for option in free
    ]

    @wraps(command)
    def gathered(**given: Any) -> None:
        chosen = {option.name: given.pop(option.name) for option in options}
        command(**given, preprocessing=_preprocessing(chosen))

    parameters = [*(p for p in own.values() if p.name != "preprocessing"), *options]
    gathered.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    gathered.__annotations__ = {p.name: p.annotation for p in parameters}
    return gathered


def _as_given(kind: object) -> Any:
    """The type in which the command line takes an option: a number, or text to be read here."""
    if kind in (int | None, float | None):
        return kind
    return list[str] | None if kind == dict[str, Fixed] | None else str | None


def _preprocessing(given: dict[str, Any]) -> Preprocessing:
    """The options of a command as `Preprocessing`.

    Raises:
        VivavoceError: a value cannot be understood; the message names its option.
    """
    import msgspec

    from .errors import VivavoceError

    read = {"mean": _numbers, "std": _numbers, "size": _size, "fix": _fixed}
    values = {k: read[k](k, v) if k in read else v for k, v in given.items() if v is not None}
    try:
        return msgspec.convert(values, Preprocessing)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$.")
        raise VivavoceError(f"--{where.rstrip('`').replace('_', '-')}: {what}") from None


def _numbers(option: str, text: str) -> list[float]:
    from .errors import VivavoceError

    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise VivavoceError(
            f"--{option} must be a number or numbers separated by commas, not {text!r}"
        ) from None


def _fixed(option: str, texts: list[str]) -> dict[str, Fixed]:
    """Read `--fix`: values of inputs by name."""
    from .errors import VivavoceError

    found: dict[str, Fixed] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise VivavoceError(f"--{option} must be NAME=NUMBER or NAME=FILE.npy, not {text!r}")
        found[name] = _value(value)
    return found


def _value(text: str) -> Fixed:
    """A number, numbers, or else the path of a file."""
    words = {"true": True, "false": False}
    if text.lower() in words:
        return words[text.lower()]
    try:
        numbers = [int(p) if p.strip().lstrip("+-").isdecimal() else float(p) for p in text.split(",")]
    except ValueError:
        return text
    return numbers[0] if len(numbers) == 1 else tuple(numbers)


def _size(option: str, text: str) -> list[int]:
    from .errors import VivavoceError

    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdecimal() and int(part) for part in parts):
        raise VivavoceError(f"--{option}: {text!r} is not a size; give 224 or 224x320 (height x width)")
    return [int(parts[0]), int(parts[-1])]
