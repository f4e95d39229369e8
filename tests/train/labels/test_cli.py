import shutil
import subprocess
import sys
import wave

import pytest
from PIL import Image
from typer.testing import CliRunner

from vivavoce.artifacts import LabelBank
from vivavoce.errors import VivavoceError
from vivavoce.train.labels.classlist import read_classes
from vivavoce.train.labels.cli import app

needs_flite = pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")


def run_labels(*arguments):
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    error = done.exception
    if error is not None and not isinstance(error, SystemExit):
        raise error
    return done


def build(path, *more, kind="constant", classes="cifar10"):
    return run_labels("build", "--kind", kind, "--classes", classes, "-o", path, *more)


def test_build_writes_a_bank_and_says_what_it_is(tmp_path):
    done = build(tmp_path / "bank.npz", kind="uniform-random")
    assert done.exit_code == 0
    bank = LabelBank.load(tmp_path / "bank.npz")
    assert "uniform-random: 10 labels of 64x64" in done.stdout
    assert bank.digest in done.stdout
    assert "closest: " in done.stdout


def test_options_without_meaning_are_ignored_with_a_word(tmp_path):
    done = build(tmp_path / "bank.npz", "--wavs", tmp_path, "--seed", "3")
    assert "note: constant labels take no --seed, --wavs; ignored" in done.stderr


def test_classes_that_cannot_be_told_apart_are_named(tmp_path):
    done = build(tmp_path / "bank.npz", classes="cifar100")
    assert "warning: constant: closer than the threshold of 3.5" in done.stderr
    assert "(0.33), … (390 pairs)" in done.stderr


def test_show_draws_a_picture(tmp_path):
    build(tmp_path / "bank.npz", kind="gaussian-composition")
    done = run_labels("show", tmp_path / "bank.npz", "-o", tmp_path / "bank.png")
    assert done.exit_code == 0
    with Image.open(tmp_path / "bank.png") as picture:
        assert picture.width > 5 * 192
        assert len(picture.getcolors(1 << 20) or []) > 100


@pytest.mark.parametrize("count", [2, 11, 30])
def test_sheets_of_any_number_of_vectors(tmp_path, count):
    (tmp_path / "classes.txt").write_text("\n".join(f"class number {k}" for k in range(count)))
    build(tmp_path / "bank.npz", kind="low-dim", classes=tmp_path / "classes.txt")
    assert run_labels("show", tmp_path / "bank.npz", "-o", tmp_path / "bank.png").exit_code == 0


@needs_flite
def test_a_spoken_bank_can_be_heard_and_seen(tmp_path):
    (tmp_path / "classes.csv").write_text("class,spoken\nn01440764,tench\nn02123045,tabby cat\n")
    bank = tmp_path / "bank.npz"
    build(bank, "--engine", "flite", kind="speech", classes=tmp_path / "classes.csv")
    assert LabelBank.load(bank).spoken == ("tench", "tabby cat")
    run_labels("show", bank, "--play", "n01440764", "--wav", tmp_path / "tench.wav", "-o", tmp_path / "b.png")
    with wave.open(str(tmp_path / "tench.wav")) as sound:
        assert sound.getframerate() == 22_050
        frames = LabelBank.load(bank).frames
        assert frames is not None
        assert sound.getnframes() == frames[0] * 256


def test_play_without_a_player(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    bank = LabelBank("speech", *_two_labels())
    bank.save(tmp_path / "bank.npz")
    with pytest.raises(VivavoceError, match="no sound player here"):
        run_labels("show", tmp_path / "bank.npz", "--play", "a")
    with pytest.raises(VivavoceError, match="no class 'z'"):
        run_labels("show", tmp_path / "bank.npz", "--play", "z")


def _two_labels():
    import numpy as np

    from vivavoce.artifacts.manifest import Mel

    noise = np.random.default_rng(0).uniform(-80, 0, (2, 64, 64)).astype(np.float32)
    return noise, ("a", "b"), ("a", "b"), (20, 30), Mel()


def test_stats_prints_table_2_and_consistent_measures(tmp_path):
    build(tmp_path / "constant.npz")
    build(tmp_path / "random.npz", kind="uniform-random")
    done = run_labels("stats", tmp_path / "constant.npz", tmp_path / "random.npz")
    assert "26.07±15.72" in done.stdout  # the paper's cell for constant labels
    assert "0.41±0.25" in done.stdout
    assert "constant: closest are " in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["build", "--kind", "category", "--classes", "cifar10", "-o", "x.npz"], "one-hot: there is no bank"),
        (["build", "--kind", "uniform", "--classes", "cifar10", "-o", "x.npz"], "no label kind 'uniform'"),
        (["build", "--classes", "nowhere.txt", "-o", "x.npz"], r"nowhere\.txt: no such class list"),
        (["build", "--classes", "cifar10", "-o", "no/such/folder/x.npz"], "no such folder to write to"),
        (["build", "--classes", "cifar10", "-o", "x.npz", "--size", "1"], "size 1 is too small"),
        (["build", "--classes", "cifar10", "-o", "x.npz", "--wavs", "."], r"holds no \.wav"),
        (["build", "--classes", "cifar10", "-o", "x.png"], r"x\.png: a label bank's file ends in \.npz"),
        (["show", "nowhere.npz"], "no such label bank"),
        (["stats", "nowhere.npz"], "no such label bank"),
    ],
)
def test_bad_input_is_one_clear_line(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(VivavoceError, match=message) as refusal:
        run_labels(*arguments)
    assert "\n" not in str(refusal.value)


def test_sound_of_a_kind_without(tmp_path):
    build(tmp_path / "bank.npz")
    with pytest.raises(VivavoceError, match="constant labels have no sound"):
        run_labels("show", tmp_path / "bank.npz", "--play", "cat")
    with pytest.raises(VivavoceError, match="--wav needs --play"):
        run_labels("show", tmp_path / "bank.npz", "--wav", "x.wav")


def test_a_picture_of_no_format(tmp_path):
    build(tmp_path / "bank.npz")
    with pytest.raises(VivavoceError, match=r"no picture format ends in '\.xyz'"):
        run_labels("show", tmp_path / "bank.npz", "-o", tmp_path / "bank.xyz")


def test_banks_of_the_same_name_are_told_apart(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        build(tmp_path / folder / "bank.npz")
    done = run_labels("stats", tmp_path / "a" / "bank.npz", tmp_path / "b" / "bank.npz")
    assert done.stdout.count("closest are") == 2


def test_class_lists(tmp_path):
    path = tmp_path / "classes.txt"
    path.write_text("\ufeff# pets\ncat\n\ndog\tpuppy\n7\n", encoding="utf-8")
    assert read_classes(str(path)) == (("cat", "dog", "7"), ("cat", "puppy", "seven"))
    path.write_text("cat\ndog\n")
    assert read_classes(str(path)) == (("cat", "dog"), None)
    assert read_classes("digits") == (tuple("0123456789"), None)
    path.write_text("\n")
    with pytest.raises(VivavoceError, match="holds no classes"):
        read_classes(str(path))
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(VivavoceError, match="not UTF-8 text"):
        read_classes(str(path))


def test_help_imports_nothing_slow():
    code = "import sys, vivavoce.train.labels.cli; print({'numpy', 'torch', 'PIL'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
