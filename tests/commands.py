"""The commands, as processes of their own or inside this one."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from unittest import mock

PLAIN = {k: v for k, v in os.environ.items() if k not in ("GITHUB_ACTIONS", "FORCE_COLOR")}


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
    try:
        said, _ = process.communicate(timeout=1200)
    finally:
        process.kill()  # one that hangs
    return process.returncode, said


def inside(
    main: Callable[[], None], *arguments: object, cwd=None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """What a process of its own would give, without its start: exit status and both outputs."""
    command = ["command", *map(str, arguments)]
    out, err, status = io.StringIO(), io.StringIO(), 0
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        contextlib.chdir(cwd or Path.cwd()),
        mock.patch.dict(os.environ, PLAIN | environment, clear=True),
        mock.patch.object(sys, "argv", command),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("default")
        try:
            main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
    return subprocess.CompletedProcess(command, status, out.getvalue(), err.getvalue())
