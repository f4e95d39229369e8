"""The whole command under ill luck: kills, full disks, folders that will not do, two processes."""

import csv
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from commands import inside, vivavoce
from PIL import Image
from safetensors.torch import load_file

from vivavoce.artifacts import open_model
from vivavoce.cli import main
from vivavoce.train import run

FEW = [
    "--dataset",
    "digits",
    "--label",
    "constant",
    "--recipe",
    "fast",
    "--data-level",
    "20",
    "--device",
    "cpu",
]


def here(*arguments) -> tuple[int, str]:
    """The command inside this process, with one thread as in `vivavoce`: its status, and what it said."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        done = inside(main, *arguments)
    finally:
        torch.set_num_threads(before)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "undisturbed"
    status, said = here("train", *FEW, "--epochs", 5, "--out", out)
    assert status == 0, said
    return out


@pytest.mark.parametrize("times", [1, pytest.param(2, marks=pytest.mark.full)])
def test_a_killed_run_goes_on_to_the_same_bits(times, undisturbed, tmp_path):
    out = tmp_path / "killed"
    arguments = ["train", *FEW, "--epochs", 5, "--out", out]
    for kills in range(times):
        process = vivavoce(*arguments, *(["--resume"] if kills else []))
        wanted, deadline = 1 + 2 * kills, time.monotonic() + 200
        while time.monotonic() < deadline and process.poll() is None:
            lines = (out / "history.jsonl").read_text().count("\n") if (out / "history.jsonl").exists() else 0
            if lines >= wanted:
                break
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert not (out / run.RESULT).exists()
    status, said = here(*arguments, "--resume")
    assert status == 0, said
    assert "epoch 1/5" not in said
    a, b = load_file(undisturbed / run.RESULT), load_file(out / run.RESULT)
    assert a.keys() == b.keys()
    assert all(torch.equal(a[k], b[k]) for k in a)
    a, b = load_file(undisturbed / run.CHECKPOINT), load_file(out / run.CHECKPOINT)
    assert all(torch.equal(a[k], b[k]) for k in a)


def test_every_epoch_is_logged(undisturbed):
    rows = list(csv.DictReader((undisturbed / "history.csv").read_text().splitlines()))
    lines = [json.loads(line) for line in (undisturbed / "history.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert [float(row["train_loss"]) for row in rows] == [line["train_loss"] for line in lines]
    recipe = json.loads((undisturbed / run.RECIPE).read_text())
    assert (recipe["name"], recipe["epochs"], recipe["flip"]) == ("fast", 5, False)
    with Image.open(undisturbed / "curves.png") as picture:
        assert picture.width > 1000


def test_tensorboard_gets_the_figures(undisturbed):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(undisturbed / "tensorboard")).Reload()
    seen = [e.value for e in events.Scalars("validation_accuracy")]
    lines = [json.loads(line) for line in (undisturbed / "history.jsonl").read_text().splitlines()]
    assert seen == pytest.approx([line["validation_accuracy"] for line in lines])


def test_a_run_is_not_resumed_with_another_recipe(undisturbed):
    arguments = ["train", *FEW, "--epochs", 5, "--out", undisturbed, "--resume", "--set", "ema=0.5"]
    status, said = here(*arguments)
    assert (status, said.count("\n")) == (2, 1)
    assert "a different recipe: ema (0.998, now 0.5)" in said


@pytest.fixture
def small_files_only():
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("small_files_only")
def test_a_full_disk_is_one_line(tmp_path):
    out = tmp_path / "a"
    status, said = here("train", *FEW, "--epochs", 2, "--out", out)
    assert status == 2, said
    assert "could not be written" in said.splitlines()[-1]
    assert not [*out.glob("*.new")]


def test_a_file_where_the_folder_should_be(tmp_path):
    (tmp_path / "a").write_text("")
    status, said = here("train", *FEW, "--epochs", 2, "--out", tmp_path / "a")
    assert status == 2
    assert "cannot store a run here" in said


# A thread of the process group that is left when the interpreter ends now and then aborts the process.
START = """
from pathlib import Path
from vivavoce.cli import main
try:
    main()
finally:
    print("threads left:", *(f.read_text().strip() for f in Path("/proc/self/task").glob("*/comm")))
"""


@pytest.mark.full
def test_two_processes_learn_what_one_does(tmp_path):
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    even = ["--set", "precision=float32", "--learning-rate", "0.02"]
    arguments = ["train", *FEW, *even, "--epochs", "3", "--out"]
    status, said = here(*arguments, tmp_path / "one")
    assert status == 0, said
    script = tmp_path / "start.py"
    script.write_text(START)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", port]
    done = subprocess.run(
        [*torchrun, str(script), *arguments, str(tmp_path / "two")],
        capture_output=True, text=True, check=False, timeout=400, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "2 processes" in done.stdout
    assert done.stdout.count("best epoch") == 1
    assert done.stdout.count("threads left:") == 2
    assert "gloo" not in done.stdout
    one, two = (
        [json.loads(line) for line in (tmp_path / name / "history.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    )
    for a, b in zip(one, two, strict=True):
        assert a["learning_rate"] == b["learning_rate"]
        assert b["train_loss"] == pytest.approx(a["train_loss"], rel=0.05)


def test_a_run_with_scaled_labels_is_exported(undisturbed, tmp_path):
    """The export compares the file with the trained model and keeps it only if they agree."""
    note = ["--data-note", "a fifth of the digits"]
    status, said = here("export", undisturbed, "-o", tmp_path / "model.onnx", *note)
    assert status == 0, said
    training = open_model(tmp_path / "model.onnx").manifest.training
    assert training is not None
    assert training.split == "287 training, 143 validation, 360 test images; a fifth of the digits"
