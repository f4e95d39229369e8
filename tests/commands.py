"""The umbrella command as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys


def vivavoce(*arguments: object, **options) -> subprocess.Popen[str]:
    """Start it; one thread, and both outputs in one."""
    script = "from vivavoce.cli import main; main()"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, **options,
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit status, and what it said."""
    said, _ = process.communicate(timeout=300)
    return process.returncode, said
