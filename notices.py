"""Lines on standard error that the rooms below the commands print."""

from __future__ import annotations

import sys
from functools import cache


@cache
def say_once(line: str) -> None:
    """Print a line on standard error, unless this process has printed it before."""
    print(line, file=sys.stderr)
