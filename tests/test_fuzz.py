"""Seeded damage to every kind of file that comes from outside, through the commands that read it.

`VIVAVOCE_FUZZ=20000 pytest tests/test_fuzz.py -m full -s` tries so many files in all and prints the figures.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import time
import traceback
import wave
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from graph_damage import attentive, convolutional, restructured, with_manifest
from mutations import changed, damaged
from PIL import Image
from typer.testing import CliRunner

from vivavoce.artifacts import open_model
from vivavoce.artifacts.decoding import Outputs
from vivavoce.audit.state import MAGIC
from vivavoce.cli import app
from vivavoce.documents import parse_json
from vivavoce.errors import VivavoceError
from vivavoce.images import Fit
from vivavoce.images.imageset import read_image
from vivavoce.train.run import load_trained

pytestmark = pytest.mark.filterwarnings("ignore")

LONG = int(os.environ.get("VIVAVOCE_FUZZ", "2000"))
FORMATS = ("png", "jpeg", "gif", "webp", "tiff", "bmp", "ppm")
FEW = ("--attack", "fgsm", "--limit", "4", "--epsilon", "0.1")
Use = Callable[[Path], object]


@dataclass
class Door:
    """A kind of file: its name, damaged contents, and what reads it."""

    name: str
    contents: Callable[[Path, int, int], Iterable[bytes]]
    """Of a folder, how many and the seed."""
    use: Use
    share: int
    """Of 100 files in the long run."""


@dataclass
class Figures:
    """What came of the files at one door."""

    tried: int = 0
    refused: int = 0
    slowest: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)


def command(*arguments: object) -> None:
    """Run a command in this process; a regression found is a result like any other."""
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    error = done.exception
    if isinstance(error, SystemExit):
        assert error.code in (0, 1), done.output
    elif error is not None:
        raise error


def model(path: Path) -> None:
    command("audit", "inspect", path)
    command("audit", "robustness", path, "--data", "digits", *FEW)


def bank(path: Path) -> None:
    command("labels", "show", path, "--output", path.with_suffix(".png"))
    command("labels", "stats", path)


def settings(path: Path) -> None:
    onnx.save(convolutional(), path.with_suffix(".onnx"))
    open_model(path.with_suffix(".onnx"))


def report(path: Path) -> None:
    whole = path.parent / "whole.json"
    if not whole.exists():
        shutil.copy(open_model("digits-category").path.with_suffix(".json"), whole)
    command("audit", "compare", whole, path)


def targets(path: Path) -> None:
    audited = path.parent / "model.onnx"
    if not audited.exists():
        onnx.save(convolutional(), audited)
    command("audit", "robustness", audited, "--data", "digits", *FEW, "--targets", path)


def state(path: Path) -> None:
    audited = path.parent / "model.onnx"
    command("audit", "robustness", audited, "--data", "digits", *FEW, "--resume", path)


def recordings(path: Path) -> None:
    (path.parent / "names.txt").write_text("word\nother\n", encoding="utf-8")
    (path.parent / "other.wav").write_bytes(spoken(200.0))
    out = path.parent / "bank.npz"
    command("labels", "build", "--wavs", path.parent, "--classes", path.parent / "names.txt", "-o", out)


def run_file(path: Path) -> None:
    whole = Path(__file__).parent / "fixtures" / "runs" / "digits-speech"
    for file in whole.iterdir():
        if file.name != path.name and not (path.parent / file.name).exists():
            shutil.copy(file, path.parent / file.name)
    load_trained(path.parent)


def pixels(path: Path) -> None:
    assert read_image(path, Fit(8, 8)).shape == (8, 8, 3)


def spoken(pitch: float) -> bytes:
    file = io.BytesIO()
    wave_at = np.sin(np.arange(4000) / 8000 * 2 * np.pi * pitch) * np.hanning(4000)
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes((wave_at * 2**14).astype("<i2").tobytes())
    return file.getvalue()


def picture(kind: str) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (12, 9, 3), np.uint8)
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def shipped(name: str, suffix: str = ".onnx") -> bytes:
    return open_model(name).path.with_suffix(suffix).read_bytes()


def halves(first: Iterable[bytes], second: Iterable[bytes]) -> Iterator[bytes]:
    for pair in zip(first, second, strict=True):
        yield from pair


def graphs(_: Path, n: int, seed: int) -> Iterator[bytes]:
    makers = (convolutional, attentive)
    return halves(*(restructured(make().SerializeToString(), (n + 1) // 2, seed) for make in makers))


def graph_bytes(_: Path, n: int, seed: int) -> Iterator[bytes]:
    makers = (convolutional, attentive)
    return halves(*(damaged(make().SerializeToString(), (n + 1) // 2, seed) for make in makers))


def documents(content: bytes, n: int, seed: int) -> Iterator[bytes]:
    value = parse_json(content.decode(), dict, "x", "a document")
    return halves(damaged(content, (n + 1) // 2, seed), changed(value, (n + 1) // 2, seed))


def torchscript(folder: Path, n: int, seed: int) -> Iterator[bytes]:
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(144, 10)).eval()
    path = folder / "traced.pt"
    torch.jit.trace(net, torch.rand(2, 3, 8, 8)).save(str(path))  # pyright: ignore[reportAttributeAccessIssue]
    return damaged(path.read_bytes(), n, seed)


def states(folder: Path, n: int, seed: int) -> Iterator[bytes]:
    """States of an audit that was killed, damaged as they are, or before their checksum is made."""
    onnx.save(convolutional(), folder / "model.onnx")
    kept: list[bytes] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vivavoce.audit.state.write_whole", lambda _, content: kept.append(content))
        state(folder / "whole.state")
    inside = kept[0][len(MAGIC) + 32 :]
    signed = (MAGIC + hashlib.sha256(c).digest() + c for c in damaged(inside, (n + 1) // 2, seed))
    return halves(damaged(kept[0], (n + 1) // 2, seed), signed)


def of_run(name: str) -> Callable[[Path, int, int], Iterable[bytes]]:
    content = (Path(__file__).parent / "fixtures" / "runs" / "digits-speech" / name).read_bytes()
    if name.endswith(".json"):
        return lambda _, n, seed: documents(content, n, seed)
    head = content[:4000] if name.endswith(".safetensors") else content

    def contents(_: Path, n: int, seed: int) -> Iterator[bytes]:
        return (piece + content[len(head) :] for piece in damaged(head, n, seed))

    return contents


def make_bank() -> bytes:
    file = io.BytesIO()
    with np.load(Path(__file__).parent / "fixtures" / "runs" / "digits-speech" / "bank.npz") as arrays:
        np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()


ROWS = "file,target\n" + "".join(f"{k},{(k + 1) % 10}\n" for k in range(360))
TOML = b'scale = 255.0\nmean = [0.5, 0.5, 0.5]\nlayout = "nchw"\nsize = [8, 8]\ninterpolation = "nearest"\n'

DOORS = [
    Door("structure.onnx", graphs, model, 12),
    Door("bytes.onnx", graph_bytes, model, 10),
    Door(
        "manifest.onnx",
        lambda _, n, s: with_manifest(shipped("digits-speech"), "vivavoce", n, s),
        open_model,
        6,
    ),
    Door("shipped.onnx", lambda _, n, s: damaged(shipped("digits-category"), n, s), open_model, 3),
    Door("bank.npz", lambda _, n, s: damaged(make_bank(), n, s), bank, 3),
    Door("report.json", lambda _, n, s: documents(shipped("digits-category", ".json"), n, s), report, 8),
    Door("settings.toml", lambda _, n, s: damaged(TOML, n, s), settings, 8),
    Door("targets.csv", lambda _, n, s: damaged(ROWS.encode(), n, s), targets, 3),
    Door("torchscript.pt", torchscript, lambda path: command("audit", "inspect", path), 4),
    Door("audit.state", states, state, 5),
    Door("word.wav", lambda _, n, s: damaged(spoken(150.0), n, s), recordings, 6),
    Door("run.json", of_run("run.json"), run_file, 4),
    Door("bank.npz", of_run("bank.npz"), run_file, 2),
    Door("model.safetensors", of_run("model.safetensors"), run_file, 5),
    *(
        Door(f"{kind}.{kind}", lambda _, n, s, k=kind: damaged(picture(k), n, s), pixels, 3)
        for kind in FORMATS
    ),
]


def knock(door: Door, folder: Path, count: int, seed: int, seconds: float) -> Figures:
    """Bring every file to a door; keep those at fault in the folder."""
    found, path = Figures(), folder / door.name
    begun = time.monotonic()
    for k, content in enumerate(door.contents(folder, count, seed)):
        path.write_bytes(content)
        start = time.monotonic()
        found.tried += 1
        try:
            door.use(path)
        except VivavoceError as error:
            found.refused += 1
            if "\n" in str(error) or path.stem not in str(error):
                found.faults[f"unnamed: {str(error)[:150]!r}"] += 1
        except (OSError, MemoryError) as error:
            if isinstance(error, OSError) and error.errno is None:
                found.faults[repr(error)] += 1
        except Exception as error:
            ours = [f for f in traceback.extract_tb(error.__traceback__) if "site-packages" not in f.filename]
            place = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"
            found.faults[f"{type(error).__name__} at {place}: {str(error)[:150]!r}"] += 1
            shutil.copy(path, folder / f"fault-{k}-{door.name}")
        found.slowest = max(found.slowest, time.monotonic() - start)
        if time.monotonic() - begun > seconds:  # a slow machine, not a failure
            break
    return found


NAMES = [f"{k}-{door.name}" for k, door in enumerate(DOORS)]


@pytest.mark.parametrize("door", DOORS, ids=NAMES)
def test_damage_ends_in_a_result_or_in_one_line(door, tmp_path):
    found = knock(door, tmp_path, 60, 1, 2.0)
    assert found.tried
    assert found.faults == {}


@pytest.mark.full
@pytest.mark.parametrize("door", DOORS, ids=NAMES)
def test_much_damage_ends_in_a_result_or_in_one_line(door, tmp_path):
    found = knock(door, tmp_path, LONG * door.share // sum(d.share for d in DOORS), 2, 3600)
    print(f"\n{door.name}: {found.tried} files, {found.refused} refused, slowest {found.slowest:.1f} s")
    for fault, times in found.faults.most_common():
        print(f"  {times} x {fault}")
    assert found.faults == {}


def test_answers_of_other_shapes_than_declared_are_refused():
    opened = open_model("digits-category")
    for shape in ((3, 9), (2, 10), (3, 10, 1), (3,)):
        with pytest.raises(VivavoceError, match=r"m\.onnx: the file declares scores of shape \[3, 10\]"):
            Outputs(np.zeros(shape, np.float32)).check(3, opened.manifest, Path("m.onnx"))
