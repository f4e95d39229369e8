"""How commands end: what cannot be shown or written loses nothing else, and is one line."""

import errno
import os
import subprocess
import sys
import wave
from unittest import mock

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from vivavoce.audit.cli import app as audit_app
from vivavoce.cli import app
from vivavoce.console import Losses, make_app, run
from vivavoce.errors import VivavoceError

FEW = ["--limit", "4", "--attack", "fgsm", "--epsilon", "0.1"]


def full(path):
    """A file that no byte can be written to."""
    path.symlink_to("/dev/full")
    return str(path)


def test_the_verdict_and_every_other_output_survive_one_that_cannot_be_written(tmp_path):
    (tmp_path / "sounds").mkdir()
    full(tmp_path / "sounds" / "image-0-clean.wav")
    outputs = [
        full(tmp_path / "a.json"),
        str(tmp_path / "b.md"),
        full(tmp_path / "c.csv"),
        str(tmp_path / "d.json"),
    ]
    arguments = [part for path in outputs for part in ("-o", path)]
    done = CliRunner().invoke(
        audit_app, ["robustness", "digits-speech", *FEW, *arguments, "--wav", str(tmp_path / "sounds")]
    )
    assert isinstance(done.exception, VivavoceError)
    assert str(done.exception).count("cannot be written (No space left on device)") >= 2
    for name in ("a.json", "c.csv"):
        assert name in str(done.exception)
    assert "robust accuracy" in done.output
    assert (tmp_path / "b.md").read_text(encoding="utf-8").startswith("## digits-speech")
    assert (tmp_path / "d.json").stat().st_size > 1000
    assert [f.name for f in tmp_path.iterdir() if f.name.startswith(".")] == []


def test_a_check_writes_its_baseline_and_outputs_though_one_fails(tmp_path):
    report = str(tmp_path / "base.json")
    assert CliRunner().invoke(audit_app, ["robustness", "digits-category", *FEW, "-o", report]).exit_code == 0
    before = (tmp_path / "base.json").stat().st_ino
    done = CliRunner().invoke(
        audit_app,
        ["check", "digits-category", "--baseline", report, "--update",
         "-o", full(tmp_path / "r.xml"), "-o", str(tmp_path / "r.sarif")],
    )  # fmt: skip
    assert isinstance(done.exception, VivavoceError)
    assert "r.xml: cannot be written" in str(done.exception)
    assert "no regression" in done.output
    assert (tmp_path / "r.sarif").exists()
    assert (tmp_path / "base.json").stat().st_ino != before, "a new file took the baseline's place"


def test_sounds_of_images_with_one_name_are_kept_apart(tmp_path):
    for folder in ("0", "1"):
        (tmp_path / "photos" / folder).mkdir(parents=True)
        noise = np.random.default_rng(int(folder)).integers(0, 255, (32, 32, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / "photos" / folder / "a.png")
    (tmp_path / "out").mkdir()
    done = CliRunner().invoke(
        app,
        ["classify", str(tmp_path / "photos"), "--model", "digits-speech", "--wav", str(tmp_path / "out")],
    )
    assert done.exit_code == 0, done.exception
    written = sorted(str(f.relative_to(tmp_path / "out")) for f in (tmp_path / "out").rglob("*.wav"))
    assert written == ["0/a.wav", "1/a.wav"]
    with wave.open(str(tmp_path / "out" / "0" / "a.wav")) as file:
        assert file.getnframes() > 1000


def test_answers_go_on_where_a_sound_cannot_be_written(tmp_path):
    for k in range(3):
        Image.new("RGB", (32, 32), (k, 80, 80)).save(tmp_path / f"{k}.png")
    (tmp_path / "out").mkdir()
    full(tmp_path / "out" / "1.wav")
    done = CliRunner().invoke(
        app, ["classify", str(tmp_path), "--model", "digits-speech", "--wav", str(tmp_path / "out"), "--json"]
    )
    assert "1.wav: cannot be written" in str(done.exception)
    assert done.stdout.count('"class"') == 3
    assert (tmp_path / "out" / "2.wav").stat().st_size > 1000


@pytest.mark.parametrize(
    ("error", "status", "shown"),
    [
        (VivavoceError("x.onnx: no\n::error::such"), 2, r"error: x.onnx: no \x3a:error::such"),
        (VivavoceError("\x1b[31m[/]"), 2, r"error: \x1b[31m[/]"),
        (MemoryError(), 2, "error: this needs more memory than there is; try fewer or smaller images"),
        (PermissionError(errno.EACCES, "Permission denied", "a.png"), 2, "error: a.png: Permission denied"),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "error: No space left on device"),
        (FileNotFoundError(errno.ENOENT, "No such file"), 2, "error: the working folder does not"),
        (OSError("made by ourselves"), 3, "internal error: OSError: made by ourselves"),
        (KeyError("x"), 3, "internal error: KeyError"),
        (ValueError(""), 3, "internal error: ValueError"),
        (KeyboardInterrupt(), 130, "stopped"),
    ],
)  # fmt: skip
def test_every_ending_is_a_status_and_a_line(error, status, shown, capsys):
    def fail():
        raise error

    with pytest.raises(SystemExit) as ended:
        run(fail)  # type: ignore[arg-type]
    assert ended.value.code == status
    said = capsys.readouterr().err
    assert said.startswith(shown)
    assert said.count("\n") == 1


@pytest.mark.parametrize("said", ["", "stopped after 3 of 9 images"])
def test_an_interrupted_command_says_so(said, capsys):
    commands = make_app("Made up.")

    @commands.command()
    def wait() -> None:
        raise KeyboardInterrupt(*filter(None, [said]))

    with mock.patch.object(sys, "argv", ["made-up", "wait"]), pytest.raises(SystemExit) as ended:
        run(commands)
    assert ended.value.code == 130
    assert capsys.readouterr().err == (said or "stopped") + "\n"


def test_losses_are_one_line():
    losses = Losses()
    losses.end()
    for k in range(12):
        with losses.noting():
            raise VivavoceError(f"{k}: full")
    with pytest.raises(VivavoceError, match=r"^0: full; .*; 9: full; and 2 more$"):
        losses.end()


def shell(script, cwd=None, **environment) -> subprocess.CompletedProcess[str]:
    python = f"{sys.executable} -c 'from vivavoce.cli import main; main()'"
    return subprocess.run(
        ["bash", "-c", script.replace("vivavoce", python)], cwd=cwd, env=os.environ | environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("script", "status", "lines"),
    [
        ("vivavoce --version > /dev/full", 2, 1),
        ("vivavoce --version >&-", 2, 1),
        ("vivavoce --version <&- >&- 2>&-", 2, 0),
        ("vivavoce classify gone.png 2>&-", 2, 0),
        ("vivavoce classify gone.png 2>/dev/full", 2, 0),
        ("set -o pipefail; vivavoce study list | true", 0, 0),
        ("mkdir gone; cd gone; rmdir ../gone; vivavoce labels build --classes digits -o b.npz", 2, 1),
    ],
)
def test_streams_and_folders_that_are_gone(tmp_path, script, status, lines):
    done = shell(script, tmp_path)
    assert done.returncode == status, done.stderr
    assert len(done.stderr.splitlines()) == lines, done.stderr
    assert "Traceback" not in done.stderr


def test_a_terminal_of_ascii_gets_escapes(tmp_path):
    Image.new("RGB", (32, 32)).save(tmp_path / "猫.png")
    done = shell(
        "vivavoce classify 猫.png --model digits-category", tmp_path, PYTHONIOENCODING="ascii", PYTHONUTF8="1"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(r"\u732b.png: ")
