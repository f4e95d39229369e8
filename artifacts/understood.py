"""What was understood of a file that does not describe itself."""

from __future__ import annotations

from dataclasses import dataclass

from .entry import Entry
from .head import Head
from .interface import Declared
from .outputs import Output


@dataclass(frozen=True)
class Understood:
    """How a file without a manifest is fed and read."""

    output: Output
    """The output that is taken."""
    head: Head
    """How scores are made of it."""
    entry: Entry
    """How images become what it takes."""
    image: str
    """The file's name of the input that takes the images."""
    places: dict[str, str]
    """Each of the file's inputs, and the value of the adapted graph that stands for it."""
    fixed: dict[str, str]
    """The other inputs, and the SHA-256 of the value that each has."""
    inputs: tuple[Declared, ...] = ()
    """The file's inputs as it declares them."""
    outputs: tuple[Declared, ...] = ()
