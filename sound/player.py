"""Playing a wav through whatever player the system has."""

from __future__ import annotations

import shutil
import subprocess
import sys
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
NOT_HEARD = "audio open failed"
"""Printed by ffplay without a sound device; its exit status is 0 all the same."""


def find_player() -> list[str] | None:
    """The command of the first player there is, or None."""
    return next(([path, *options] for name, options in PLAYERS.items() if (path := shutil.which(name))), None)


def play(path: Path) -> str | None:
    """Play a wav file to its end; return what went wrong, or None."""
    if sys.platform == "win32":
        return _play_on_windows(path)
    player = find_player()
    if player is None:
        return f"no sound player here (looked for {', '.join(PLAYERS)}); --wav writes the sound to a file"
    done = subprocess.run([*player, str(path)], capture_output=True, text=True, errors="replace", check=False)
    lines = done.stderr.strip().splitlines()
    unheard = [line for line in lines if NOT_HEARD in line]
    if done.returncode or unheard:
        reason = (unheard or lines or [f"exit status {done.returncode}"])[0]
        return f"{Path(player[0]).name} could not play the sound: {reason}; --wav writes it to a file"
    return None


def _play_on_windows(path: Path) -> str | None:
    """Play by the standard library, which has a player on Windows only."""
    import winsound

    try:
        winsound.PlaySound(str(path), winsound.SND_FILENAME)  # pyright: ignore[reportAttributeAccessIssue]
    except RuntimeError as error:
        return f"Windows could not play the sound: {error}; --wav writes it to a file"
    return None
