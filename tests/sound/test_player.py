import sys
import types

import numpy as np
import pytest

from vivavoce.sound import player
from vivavoce.sound.playback import write_wav


@pytest.fixture
def wav(tmp_path):
    write_wav(tmp_path / "a.wav", np.zeros(100, np.float32), 16_000)
    return tmp_path / "a.wav"


@pytest.fixture
def only(tmp_path, monkeypatch):
    """Leave one player on the path, which prints a line and ends with a status."""

    def put(name, line, status):
        program = tmp_path / "bin" / name
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\necho '{line}' >&2\nexit {status}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent))

    return put


@pytest.mark.skipif(sys.platform == "win32", reason="shell scripts stand for the players")
@pytest.mark.parametrize(
    ("name", "line", "status", "trouble"),
    [
        ("aplay", "audio open error", 1, "aplay could not play the sound: audio open error"),
        ("ffplay", "No more, audio open failed", 0, "ffplay could not play the sound: No more, audio"),
        ("ffplay", "deprecated pixel format", 0, None),
        ("paplay", "", 3, "exit status 3"),
    ],
)  # fmt: skip
def test_a_player_that_is_not_heard(only, wav, name, line, status, trouble):
    only(name, line, status)
    said = player.play(wav)
    assert said is trouble or (said is not None and str(trouble) in said and "--wav" in said)


def test_windows_plays_by_itself(wav, monkeypatch):
    played = []
    system = types.SimpleNamespace(PlaySound=lambda *given: played.append(given), SND_FILENAME=131072)
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "winsound", system)
    assert player.play(wav) is None
    assert played == [(str(wav), 131072)]
