"""What the commands of `audit` share: options, the progress bar, the command line for the report."""

from __future__ import annotations

import math
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..console import progress_bar

if TYPE_CHECKING:
    from ..terminal import Bar
    from .protocol import Protocol

Address = Annotated[
    str | None,
    typer.Option(
        help="Ray cluster: HOST:PORT, ray://HOST:PORT, auto or local. Default: this machine's "
        "cluster, or Ray on this machine alone."
    ),
]


BudgetOption = Annotated[
    str | None,
    typer.Option(
        "--budget",
        metavar="<time>",
        help="End after this time (90s, 10m, 1h30m) or so many gradients (2000g), with the images that were "
        "finished, a random part of the sample.",
    ),
]
PatchSizes = Annotated[
    list[str] | None,
    typer.Option(
        metavar="<share%>",
        help="Size of patches as a share of the image: 5%, or 2%,5%. Default: 5%.",
    ),
]
Epsilons = Annotated[
    list[str] | None,
    typer.Option(metavar="<size>", help="Instead of the protocol's epsilons: 0.03, 8/255, or 1/255,2/255."),
]


Severities = Annotated[
    list[str] | None,
    typer.Option(metavar="<severity>", help="For --protocol natural: 3, or 1,3,5. Default: 1 to 5."),
]


Shifted = Annotated[
    str | None,
    typer.Option(
        help="The same objects in other circumstances, with the same file names: compare the two sets."
    ),
]


def read_severities(texts: list[str] | None) -> list[int]:
    """Read the values of `--severity`: whole numbers, or lists of them."""
    from ..errors import VivavoceError

    parts = [part.strip() for text in texts or () for part in text.split(",")]
    for part in parts:
        if not (part.isascii() and part.isdecimal() and len(part) < 4):
            raise VivavoceError(f"--severity must be a number from 1 to 5, or several as 1,3,5, not {part!r}")
    return [int(part) for part in parts]


def read_epsilons(texts: list[str] | None) -> list[float]:
    """Read the values of `--epsilon`: numbers, or fractions such as 8/255, or lists of them."""
    from ..images.sizes import read_size

    return [read_size(size, "--epsilon") for text in texts or () for size in text.split(",")]


def read_patch_sizes(
    texts: list[str] | None, attacks: list[str] | None, epsilons: list[str] | None
) -> list[float]:
    """Read the values of `--patch-size`: shares of the image in per cent, or lists of them.

    Raises:
        VivavoceError: a text is no share, or the attacks have no patches, or epsilons are given for patches.
    """
    from ..errors import VivavoceError
    from .choices import with_patches

    patches = with_patches(attacks or ())
    if texts and not patches:
        raise VivavoceError("--patch-size needs an attack with patches, such as --attack patch")
    if epsilons and patches:
        raise VivavoceError("a patch has a size instead of an epsilon; give --patch-size, such as 5%")
    found = []
    for text in (part.strip() for option in texts or () for part in option.split(",")):
        try:
            found.append(float(text.removesuffix("%")) / 100)
        except ValueError:
            found.append(float("nan"))
        if not text.endswith("%") or not math.isfinite(found[-1]):
            raise VivavoceError(f"--patch-size must be a share of the image, such as 5%, not {text!r}")
    return found


def images_at_a_time(text: str) -> int | None:
    """Read `--batch-size`: a number, or None for `auto`."""
    from ..errors import VivavoceError

    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise VivavoceError(f"--batch-size must be a number of images or `auto`, not {text!r}")
    return int(text)


def protocols_of(
    names: Sequence[str] | None, usual: str, epsilons: Sequence[float] = (), kinds: Sequence[str] = ()
) -> list[Protocol]:
    """The protocols of a command that takes `--protocol` and `--epsilon`.

    Args:
        names: as given; None: the usual one.
        usual: its name.
        epsilons: as for `resolve`.
        kinds: attacks of the usual protocol, instead of its own.

    Raises:
        VivavoceError: as `resolve`, or a name is given twice.
    """
    from .protocol import resolve
    from .report import check_distinct

    check_distinct(names or ())
    if not names:
        return [resolve(usual, kinds, epsilons)]
    return [resolve(name, epsilons=epsilons) for name in names]


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


def command_line() -> str:
    """The command line, without folders of this machine."""
    return shlex.join(["audit", *(Path(a).name if Path(a).is_absolute() else a for a in sys.argv[1:])])


class Watching:
    """The progress of an audit on a bar; call it as `run.Progress`.

    Args:
        bar: where it is shown.
        estimated: the audit estimates the time that is left, for `left`; otherwise the bar does.
    """

    def __init__(self, bar: Bar, estimated: bool) -> None:
        fields: dict[str, Any] = {"end": None} if estimated else {}
        self._bar, self._task = bar, bar.add_task("auditing", total=None, note="", **fields)

    def __call__(self, what: str, done: int, steps: int) -> None:
        """Show what is going on, and how far it is."""
        if steps:
            self._bar.update(self._task, completed=done, total=steps, note=what)
        else:
            self._bar.update(self._task, note=what)

    def left(self, seconds: float) -> None:
        """Show that so many seconds are left."""
        self._bar.update(self._task, end=time.monotonic() + seconds)


@contextmanager
def watching(estimated: bool = False) -> Iterator[Watching]:
    """A progress bar for audits; see `Watching`."""
    with progress_bar(10 if estimated else 40) as bar:
        yield Watching(bar, estimated)
