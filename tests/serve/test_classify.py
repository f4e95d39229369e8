"""`vivavoce classify`: what it says, and whether it can be heard."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from vivavoce.images import Fit, open_images
from vivavoce.serve.listener import Listener

BIN = Path(sys.executable).parent
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def call(*arguments, cwd=None, path=None) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(path)} if path else None
    command = [str(BIN / "vivavoce"), "classify", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, check=False)


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Two test images of each digit: `<digit>.png` and `<digit>-other.png`."""
    folder = tmp_path_factory.mktemp("photos")
    digits = open_images("digits")
    for k in range(10):
        for index, suffix in zip(np.flatnonzero(digits.labels == k), ("", "-other"), strict=False):
            Image.fromarray(digits.read(int(index), Fit(32, 32))).save(folder / f"{k}{suffix}.png")
    return folder


@pytest.fixture(scope="module")
def sounds(photos, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sounds")
    done = call(*sorted(photos.glob("*.png")), "--wav", folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_spoken_digits_are_recognised(sounds):
    listener = Listener(WORDS)
    heard = [listener.hear(*soundfile.read(sounds / f"{k}.wav", dtype="float32")) for k in range(10)]
    assert sum(word == heard[k] for k, word in enumerate(WORDS)) >= 9, heard


def test_the_sound_comes_from_the_prediction_not_from_a_recording(sounds):
    for k in range(10):
        a, b = ((sounds / f"{k}{suffix}.wav").read_bytes() for suffix in ("", "-other"))
        assert a != b


def test_a_line_tells_class_word_score_distance_and_threshold(photos):
    done = call(photos / "7.png")
    assert done.returncode == 0, done.stderr
    for part in ('7 "seven"', "score", "distance", "< 3.5: sure"):
        assert part in done.stdout


def test_an_image_far_from_every_label_is_not_sure(photos, tmp_path):
    negative = 255 - np.asarray(Image.open(photos / "1.png"))
    Image.fromarray(negative).save(tmp_path / "negative.png")
    done = call(tmp_path / "negative.png")
    assert ">= 3.5: not sure" in done.stdout


def test_a_model_on_logits_answers_but_does_not_speak(photos, tmp_path):
    done = call(photos / "3.png", "--model", "digits-category")
    assert "3, score" in done.stdout
    done = call(photos / "3.png", "--model", "digits-category", "--wav", tmp_path / "a.wav")
    assert done.returncode == 2
    assert "does not speak" in done.stderr


def test_without_a_player_it_says_so(photos, tmp_path):
    done = call(photos / "3.png", "--speak", path=tmp_path)
    assert done.returncode == 0
    assert "no sound player here" in done.stderr


def test_with_a_player_it_plays(photos, tmp_path):
    player = tmp_path / "aplay"
    player.write_text(f'#!/bin/sh\n/bin/cp "$2" "{tmp_path}/played.wav"\n')
    player.chmod(0o755)
    assert call(photos / "3.png", "--speak", path=tmp_path).returncode == 0
    samples, rate = soundfile.read(tmp_path / "played.wav")
    assert rate == 22_050
    assert np.abs(samples).max() > 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone.png"], "no such image"),
        (["3.png", "--wav", "a.mp3"], ".wav"),
        (["3.png", "--wav", "no/a.wav"], "no such folder"),
        (["3.png", "7.png", "--wav", "a.wav"], "folder"),
        (["3.png", "--model", "gone"], "no such model"),
        (["."], "a folder"),
    ],
)
def test_bad_input(arguments, message, photos):
    done = call(*arguments, cwd=photos)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
