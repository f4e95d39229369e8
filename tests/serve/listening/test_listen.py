"""`vivavoce listen`: what is heard, counted."""

import csv
import json
import subprocess
from unittest import mock

import msgspec
import pytest
from commands import inside
from PIL import Image

from vivavoce.artifacts import open_model
from vivavoce.artifacts.manifest import Names
from vivavoce.cli import main
from vivavoce.serve.listening.hearing import Bin, Heard, confusion, count_classes, curve, join, suggest


def call(*arguments, cwd=None) -> subprocess.CompletedProcess[str]:
    return inside(main, "listen", *arguments, cwd=cwd)


SOUNDS = [
    Heard("a", 0, 0, 0, 0.4),
    Heard("b", 0, 0, 1, 3.4),
    Heard("c", 0, 1, 0, 3.5),
    Heard("d", 2, 1, -1, 9.0),
]


def test_counting_by_hand():
    first, last = count_classes(SOUNDS, ("x", "y", "z"), 3.5)
    assert (first.name, first.n, first.nearest, first.within, first.heard, first.agree) == (
        "x",
        3,
        2,
        2,
        2,
        1,
    )
    assert (last.name, last.n, last.nearest, last.within, last.heard, last.agree) == ("z", 1, 0, 0, 0, 1)
    assert confusion(SOUNDS, 3) == [[2, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]
    assert curve(SOUNDS) == [Bin(0, 0.5, 1, 1), Bin(3, 3.5, 1, 0), Bin(3.5, 4, 1, 1), Bin(9, 9.5, 1, 0)]


def test_curves_are_added_up():
    joined = join([Bin(0, 0.5, 2, 1), Bin(1, 1.5, 1, 1)], [Bin(0, 0.5, 3, 3)])
    assert joined == [Bin(0, 0.5, 5, 4), Bin(1, 1.5, 1, 1)]


@pytest.mark.parametrize(
    ("bins", "expected"),
    [
        ([(10, 10), (10, 9), (10, 8), (10, 10)], 1.0),
        ([(10, 8), (10, 10)], None),
        ([(10, 10), (2, 0), (10, 10)], 0.5),  # two sounds are counted with the next ten: 10 of 12
        ([(10, 10), (2, 2), (10, 9)], 1.5),
        ([], None),
    ],
)
def test_the_suggestion_stops_where_words_are_no_longer_understood(bins, expected):
    assert suggest([Bin(k / 2, (k + 1) / 2, n, heard) for k, (n, heard) in enumerate(bins)]) == expected


@pytest.fixture(scope="module", params=[48, pytest.param(300, marks=pytest.mark.full)])
def heard(request, tmp_path_factory):
    """What was said and written, with so many blends; 300 is the command's own number."""
    folder = tmp_path_factory.mktemp("heard")
    outputs = [part for name in ("h.json", "h.csv", "h.png") for part in ("-o", name)]
    with mock.patch("vivavoce.serve.listening.listen.BLENDS", request.param):
        done = call("digits-speech", "--limit", 20, "--suggest-threshold", *outputs, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert sum(b["n"] for b in json.loads((folder / "h.json").read_text())["blends"]) == request.param
    return done.stdout, folder


def test_digits_are_understood_and_the_threshold_is_near_the_papers(heard):
    text, folder = heard
    report = json.loads((folder / "h.json").read_text())
    assert report["n"] == 20
    assert report["heard"] >= report["understood"] >= 18
    assert sum(map(sum, report["confusion"])) == 20
    assert sum(b["n"] for b in report["curve"]) == 20
    assert 2.5 <= report["suggested"] <= 4.5  # the paper's human listeners: 3.5
    assert f"suggested threshold: {report['suggested']:g}" in text
    assert "cannot say" in text


def test_every_sound_is_a_row(heard):
    rows = list(csv.DictReader((heard[1] / "h.csv").read_text().splitlines()))
    assert len(rows) == 20
    assert set(rows[0]) == {"file", "class", "decided", "heard", "loss", "within"}
    with Image.open(heard[1] / "h.png") as picture:
        assert picture.width > 1000


def test_stored_names_are_heard_without_losses(tmp_path):
    """Of a model on logits with the sounds of its class names: the right answers alone can be understood."""
    model, speaking = open_model("digits-category"), open_model("digits-speech")
    label = speaking.manifest.label
    assert label is not None
    assert label.mel is not None
    names = Names((64, 64), label.mel, label.frames)
    manifest = msgspec.structs.replace(model.manifest, schema=2, names=names)
    model.manifest = msgspec.structs.replace(manifest, spoken=speaking.manifest.spoken)
    model.name_audio = speaking.bank
    outputs = [part for name in ("h.json", "h.csv", "h.png") for part in ("-o", name)]
    with mock.patch("vivavoce.serve.listening.listen.open_model", return_value=model):
        done = call("named", "--limit", 20, *outputs, cwd=tmp_path)
        refused = call("named", "--limit", 20, "--suggest-threshold", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "h.json").read_text())
    assert (report["threshold"], report["within"], report["agree"], report["curve"]) == (None, None, None, [])
    assert 18 <= report["understood"] == report["heard"] <= report["nearest"] <= 20
    rows = list(csv.DictReader((tmp_path / "h.csv").read_text().splitlines()))
    assert {(row["loss"], row["within"]) for row in rows} == {("", "")}
    heard = {row["decided"]: row["heard"] for row in rows}
    assert all(row["heard"] == heard[row["decided"]] for row in rows), "a class has one sound"
    assert "loss" not in done.stdout
    assert f"({report['understood']} of {report['nearest']})" in done.stdout
    assert refused.returncode == 2
    assert "no distance from a label; leave out --suggest-threshold" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["digits-category"], "does not speak"),
        (["gone.onnx"], "no such model"),
        (["digits-speech", "--data", "gone"], "no such data set"),
        (["digits-speech", "-o", "x.mp3"], "outputs are"),
        (["digits-speech", "-o", "no/x.png"], "no such folder"),
    ],
)
def test_bad_input(arguments, message):
    done = call(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
