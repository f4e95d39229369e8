"""What all commands share: how they end, how they show errors, how they show progress."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from .errors import VivavoceError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

BAD_INPUT, INTERNAL_ERROR, INTERRUPTED = 2, 3, 130


def make_app(help_text: str) -> typer.Typer:
    """Make a Typer app with the options and habits that every command here has."""
    app = typer.Typer(
        help=help_text,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_common)
    return app


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(version_line())
        raise typer.Exit


def _common(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the versions and exit.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    if debug:
        os.environ["VIVAVOCE_DEBUG"] = "1"


def version_line() -> str:
    """Name this package and the onnxruntime beside it, without importing either."""
    from importlib.metadata import PackageNotFoundError, version

    for runtime in ("onnxruntime", "onnxruntime-gpu"):
        try:
            return f"vivavoce {version('vivavoce')} ({runtime} {version(runtime)})"
        except PackageNotFoundError:
            continue
    return f"vivavoce {version('vivavoce')} (no onnxruntime)"


def run(app: typer.Typer) -> None:
    """Run an app and turn every ending into an exit status and at most one line.

    0 fine, 1 the check found a regression, 2 bad input or usage, 3 an error of ours.
    """
    try:
        app()
    except VivavoceError as error:
        _stop(error, f"error: {error}", BAD_INPUT)
    except KeyboardInterrupt as error:
        _stop(error, "stopped", INTERRUPTED)
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):
            os._exit(0)  # the reader of our output has gone (Typer and Rich exit with 1, a regression)
        raise
    except Exception as error:
        detail = f"{type(error).__name__}: {error}".splitlines()[0]
        _stop(
            error,
            f"internal error: {detail} (this is a bug in vivavoce; --debug shows where)",
            INTERNAL_ERROR,
        )


@contextmanager
def unread() -> Iterator[None]:
    """Go on where the reader of our output has gone (`| head`): what is to come still decides the status."""
    try:
        yield
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit) as error:
        if isinstance(error, SystemExit) and not isinstance(error.__context__, BrokenPipeError):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _stop(error: BaseException, message: str, status: int) -> None:
    if os.environ.get("VIVAVOCE_DEBUG"):
        import traceback

        traceback.print_exception(error)
    print(" ".join(message.split()), file=sys.stderr)
    sys.exit(status)


def terminal(stderr: bool = False) -> Console:
    """A Rich console; colour only on a terminal, and never with NO_COLOR."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=not sys.stdout.isatty())


def progress_bar() -> Progress:
    """A progress bar with rate and time left on a terminal; silent elsewhere. On standard error."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = terminal(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def need(module: str, extra: str, purpose: str) -> None:
    """Check that an optional package is there before work starts.

    Raises:
        VivavoceError: it is not; the message names the extra to install.
    """
    from importlib.util import find_spec

    if find_spec(module) is None:
        raise VivavoceError(f'{purpose} needs {module}; install it with: pip install "vivavoce[{extra}]"')
