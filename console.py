"""Shared by all commands: exit statuses, errors and progress."""

from __future__ import annotations

import errno
import inspect
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from .completion import add_completers
from .errors import VivavoceError
from .text import plain

if TYPE_CHECKING:
    from rich.console import Console

    from .terminal import Bar

Command = TypeVar("Command", bound=Callable[..., Any])
BAD_INPUT, INTERNAL_ERROR, INTERRUPTED = 2, 3, 130
MOST_LOSSES = 10
"""Of what could not be written, so many are named."""


class App(typer.Typer):
    """A Typer app whose help wraps paragraphs to the terminal, and whose shell completion knows our names."""

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Command], Command]:
        """Register a command, as Typer does."""
        register = super().command

        def registered(function: Command) -> Command:
            add_completers(function)
            paragraphs = inspect.cleandoc(function.__doc__ or "").split("\n\n")
            settings.setdefault("help", "\n\n".join(" ".join(part.split()) for part in paragraphs))
            return register(name, **settings)(function)

        return registered


def make_app(help_text: str) -> App:
    """Make a Typer app with the options and habits that every command here has."""
    app = App(
        help=help_text,
        no_args_is_help=True,
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

    0 fine, 1 the check found a regression, 2 bad input or usage, 3 an error of ours. What the operating
    system refuses (a full disk, no permission, no memory) counts as input: there is no bug to report.
    """
    _settle_streams()
    try:
        try:
            app()
        finally:
            flush()
    except VivavoceError as error:
        _stop(error, f"error: {error}", BAD_INPUT)
    except KeyboardInterrupt as error:
        _stop(error, str(error) or "stopped", INTERRUPTED)
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):
            os._exit(0)  # the reader of our output has gone (Typer and Rich exit with 1, a regression)
        if interrupted := _interruption(error):  # Typer exits with 130 and says nothing
            _stop(interrupted, str(interrupted) or "stopped", INTERRUPTED)
        raise
    except MemoryError as error:
        _stop(error, "error: this needs more memory than there is; try fewer or smaller images", BAD_INPUT)
    except OSError as error:
        if error.errno is None:
            _fail(error)
        _stop(error, f"error: {_refused(error)}", BAD_INPUT)
    except Exception as error:
        _fail(error)


def _interruption(error: SystemExit) -> KeyboardInterrupt | None:
    """The Ctrl-C that led to this exit; None if none did."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, KeyboardInterrupt):
        cause = cause.__cause__ or cause.__context__
    return cause


def _settle_streams() -> None:
    """Make every standard stream one that can be used: closed ones open, and any character writable.

    A closed output becomes one that refuses what is written, as a full disk does; closed errors are dropped.
    """
    for number, flags in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)  # takes the lowest free number, which is this one
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def flush() -> None:
    """Write what standard output still holds.

    Where its reader has gone (`| head`), the rest is dropped.

    Raises:
        VivavoceError: it cannot be written.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        refused = _unshown(error)
        if not isinstance(error, BrokenPipeError):
            raise refused from error


@contextmanager
def showing() -> Iterator[None]:
    """Show something in full before going on, even where the reader of our output has gone.

    Raises:
        VivavoceError: standard output cannot be written.
    """
    try:
        yield
    except BrokenPipeError:
        pass
    except OSError as error:
        raise _unshown(error) from error
    except SystemExit as error:
        if not isinstance(error.__context__, BrokenPipeError):
            raise
    flush()


def _unshown(error: OSError) -> VivavoceError:
    """Give up on standard output: what it still holds is dropped."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return VivavoceError(f"standard output: cannot be written ({error.strerror})")


class Losses:
    """What could not be shown or written at the end of a command, while the rest still is.

    Give every piece of work a `with losses.noting():`; `end` then raises what was noted, in one line.
    """

    def __init__(self) -> None:
        self._found: list[str] = []

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Note a `VivavoceError` and go on."""
        try:
            yield
        except VivavoceError as error:
            self._found.append(str(error))

    def __bool__(self) -> bool:
        """Whether anything was noted."""
        return bool(self._found)

    def end(self) -> None:
        """Raise what was noted.

        Raises:
            VivavoceError: anything was.
        """
        if self._found:
            more = len(self._found) - MOST_LOSSES
            shown = self._found[:MOST_LOSSES] + ([f"and {more} more"] if more > 0 else [])
            raise VivavoceError("; ".join(shown))


def _refused(error: OSError) -> str:
    """What the operating system refused, and of which file."""
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    if not names and error.errno == errno.ENOENT:
        return "the working folder does not exist any more; change to one that does"
    return ": ".join([*names, error.strerror or type(error).__name__])


def _fail(error: Exception) -> NoReturn:
    detail = next(iter(f"{type(error).__name__}: {error}".splitlines()))
    message = f"internal error: {detail} (this is a bug in vivavoce; --debug shows where)"
    _stop(error, message, INTERNAL_ERROR)


def _stop(error: BaseException, message: str, status: int) -> NoReturn:
    with suppress(OSError):
        if os.environ.get("VIVAVOCE_DEBUG"):
            import traceback

            for line in "".join(traceback.format_exception(error)).splitlines():
                say(line, err=True)
        say(" ".join(message.split()), err=True)
    sys.exit(status)


def say(line: str, err: bool = False) -> None:
    """Print one line of text that may hold names from outside: nothing in it acts on a terminal or log."""
    print(plain(_by_name(line)), file=sys.stderr if err else sys.stdout, flush=err)


def _by_name(line: str) -> str:
    """The line with shipped models by name; what finds them is imported only for lines that may hold one."""
    if ".onnx" not in line:
        return line
    from .artifacts.model import by_name

    return by_name(line)


def terminal(stderr: bool = False) -> Console:
    """A Rich console; colour only on a terminal, and never with NO_COLOR.

    It takes text for text, in lines and in the cells of tables: no markup, no emoji codes, nothing that
    acts on a terminal or log. To style a part, print a `rich.text.Text` whose names went through `plain`.
    """
    from .terminal import PlainConsole

    return PlainConsole(stderr=stderr, soft_wrap=not sys.stdout.isatty())


def progress_bar(width: int = 40) -> Bar:
    """A progress bar with rate and time left on a terminal; silent elsewhere. On standard error."""
    from rich.progress import BarColumn, MofNCompleteColumn

    from .terminal import Bar, PlainColumn, TimeLeft

    console = terminal(stderr=True)
    return Bar(
        PlainColumn(),
        BarColumn(width),
        MofNCompleteColumn(),
        TimeLeft(),
        PlainColumn("note"),
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
