"""`vivavoce classify`: what it says, and whether it can be heard."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from commands import inside
from PIL import Image

from vivavoce.cli import main
from vivavoce.images import Fit, open_images
from vivavoce.serve.listening.listener import Listener

BIN = Path(sys.executable).parent
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def call(*arguments, cwd=None, path=None) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(path)} if path else {}
    model = () if "--model" in arguments else ("--model", "digits-speech")
    return inside(main, "classify", *arguments, *model, cwd=cwd, **environment)


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


def test_a_folder_a_pattern_and_a_file_twice(photos):
    listed = sorted(p.name for p in photos.glob("*.png"))
    for arguments in (
        ["."],
        ["*.png"],
        [*listed, "./3.png", "3.png"][: len(listed)],
        ["[0-9]*.png", "3.png"],
    ):
        done = call(*arguments, cwd=photos)
        assert done.returncode == 0, done.stderr
        assert [line.partition(":")[0] for line in done.stdout.splitlines()] == listed


def test_standard_input(photos):
    command = [str(BIN / "vivavoce"), "classify", "-", "--json", "--model", "digits-speech"]
    done = subprocess.run(command, input=(photos / "7.png").read_bytes(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["class"] == "7"


def test_json_has_what_a_program_wants(photos, tmp_path):
    done = call(photos / "7.png", photos / "3.png", "--json", "--top", 3, "--wav", tmp_path)
    first, second = map(json.loads, done.stdout.splitlines())
    assert (first["class"], second["class"]) == ("7", "3")
    assert first["spoken"] == "seven"
    assert first["sure"] is True
    assert first["loss"] < first["threshold"]
    assert first["wav"] == str(tmp_path / "7.wav")
    assert first["top"][0]["class"] == "7"
    assert len(first["top"]) == 3
    scores = [entry["score"] for entry in first["top"]]
    assert scores == sorted(scores, reverse=True)


def test_csv_is_one_table(photos):
    done = call(photos / "7.png", photos / "3.png", "--csv", "--top", 2)
    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert [row["class"] for row in rows] == ["7", "3"]
    assert rows[0]["top"].startswith("7=")
    assert rows[0]["sure"] == "True"


def test_one_broken_image_does_not_stop_the_others(photos, tmp_path):
    (tmp_path / "b.png").write_text("no image")
    (tmp_path / "a.png").write_bytes((photos / "1.png").read_bytes())
    (tmp_path / "c.png").write_bytes((photos / "2.png").read_bytes())
    done = call(tmp_path, "--json")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [entry.get("class") for entry in found] == ["1", None, "2"]
    assert "b.png" in found[1]["error"]
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1] == "error: 1 image could not be read"


def test_sounds_of_a_folder_keep_its_subfolders(photos, tmp_path):
    for name in ("cats/a.png", "dogs/a.png", "dogs/a.bmp"):
        place = tmp_path / "in" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.open(photos / "1.png").save(place)
    (tmp_path / "out").mkdir()
    assert call(tmp_path / "in", "--wav", tmp_path / "out").returncode == 0
    made = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.wav"))
    assert made == ["cats/a.wav", "dogs/a.bmp.wav", "dogs/a.png.wav"]


def test_an_upside_down_photograph_is_turned(photos, tmp_path):
    image = Image.open(photos / "7.png").rotate(180)
    exif = Image.Exif()
    exif[0x0112] = 3
    image.save(tmp_path / "turned.png", exif=exif)
    assert "7.png: 7" in call(photos / "7.png").stdout
    assert ": 7 " in call(tmp_path / "turned.png").stdout


def test_the_label_as_the_voice(photos, tmp_path):
    done = call(photos / "7.png", photos / "7-other.png", "--voice", "label", "--wav", tmp_path)
    assert "the sound is the label's" in done.stdout
    assert "the nearest label" in done.stderr
    assert (tmp_path / "7.wav").read_bytes() == (tmp_path / "7-other.wav").read_bytes()


def test_a_file_with_a_vocoder_speaks_itself(photos, speaks, tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "ours").mkdir()
    three = [photos / f"{k}.png" for k in (1, 5, 8)]
    assert call(*three, "--model", speaks, "--wav", tmp_path / "own").returncode == 0
    assert call(*three, "--wav", tmp_path / "ours").returncode == 0
    for k in (1, 5, 8):
        own, ours = (soundfile.read(tmp_path / kind / f"{k}.wav")[0] for kind in ("own", "ours"))
        assert len(own) == len(ours)
        assert np.corrcoef(own, ours)[0, 1] > 0.99


def test_answers_are_played_one_after_the_other(photos, tmp_path):
    player = tmp_path / "aplay"
    log = tmp_path / "log"
    player.write_text(f"#!/bin/sh\necho begin >> {log}\n/bin/sleep 0.2\necho end >> {log}\n")
    player.chmod(0o755)
    assert (
        call(photos / "3.png", photos / "4.png", photos / "5.png", "--speak", path=tmp_path).returncode == 0
    )
    assert log.read_text().split() == ["begin", "end"] * 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone.png"], "no such image"),
        (["3.png", "--wav", "a.mp3"], ".wav"),
        (["3.png", "--wav", "no/a.wav"], "no such folder"),
        (["3.png", "7.png", "--wav", "a.wav"], "folder"),
        (["3.png", "--model", "gone"], "no such model"),
        (["../nothing"], "no such image"),
        (["digits-speech", "3.png"], "a model, not an image; give it as --model digits-speech"),
        (["3.png", "mine.onnx"], "a model, not an image; give it as --model mine.onnx"),
        (["*.gif"], "no file matches"),
        (["3.png", "--json", "--csv"], "choose one"),
        (["3.png", "--model", "digits-category", "--voice", "label"], "does not speak"),
    ],
)
def test_bad_input(arguments, message, photos):
    done = call(*arguments, cwd=photos)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
