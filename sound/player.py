"""Playing a wav through whatever player the system has."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

PLAYERS = {
    "afplay": [],
    "pw-play": [],
    "paplay": [],
    "aplay": ["-q"],
    "play": ["-q"],
    "ffplay": ["-nodisp", "-autoexit", "-loglevel", "error"],
}
"""Command-line players and the options that keep them quiet."""


def find_player() -> list[str] | None:
    """The command of the first player there is, or None."""
    return next(([path, *options] for name, options in PLAYERS.items() if (path := shutil.which(name))), None)


def play(path: Path) -> str | None:
    """Play a wav file to its end; return what went wrong, or None."""
    player = find_player()
    if player is None:
        return f"no sound player here (looked for {', '.join(PLAYERS)}); --wav writes the sound to a file"
    done = subprocess.run([*player, str(path)], capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[0]
        return f"{Path(player[0]).name} could not play the sound: {reason}"
    return None
