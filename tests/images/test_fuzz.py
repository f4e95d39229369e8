"""Damaged and hostile files at every door for images: pixels or one line, within bounds."""

import gzip
import io
import pickle
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vivavoce.audit.targets import read_targets
from vivavoce.errors import VivavoceError
from vivavoce.images import Fit, open_images

PIXELS = np.random.default_rng(0).integers(0, 256, (10, 32, 32, 3)).astype(np.uint8)
LABELS = np.arange(10)


def mutated(data: bytes, draw: np.random.Generator) -> bytes:
    """Bytes changed, cut out or doubled, most often near the front, where headers are."""
    broken = bytearray(data)
    for _ in range(int(draw.integers(1, 4))):
        end = max(1, min(len(broken), int(draw.choice([64, 300, len(broken)]))))
        place = int(draw.integers(0, end))
        kind = draw.integers(0, 4)
        if kind == 0:
            del broken[place : place + int(draw.integers(1, 40))]
        elif kind == 1:
            broken[place:place] = broken[place : place + 20]
        elif place < len(broken):
            broken[place] = int(draw.integers(0, 256)) if kind == 2 else 255
    return bytes(broken)


def npz(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def batch() -> bytes:
    rows = PIXELS[:2].transpose(0, 3, 1, 2).reshape(2, -1)
    return pickle.dumps({"data": rows, "fine_labels": [3, 4]}, protocol=2)


def tar(name: str, data: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as packed:
        member = tarfile.TarInfo(f"cifar-100-python/{name}")
        member.size = len(data)
        packed.addfile(member, io.BytesIO(data))
    return file.getvalue()


def put(folder: Path, name: str, data: bytes) -> None:
    (folder / name).write_bytes(data)


def mnist(folder: Path, name: str, data: bytes) -> str:
    put(folder, "t10k-labels-idx1-ubyte", idx(LABELS.astype(np.uint8)))
    put(folder, name, data)
    return f"mnist:{folder}"


DOORS: dict[str, tuple[bytes, Callable[[Path, bytes], str]]] = {
    "npz": (
        npz(images=PIXELS[:, :8, :8], labels=LABELS, classes=np.array(list("abcdefghij"))),
        lambda folder, data: put(folder, "a.npz", data) or f"{folder}/a.npz",
    ),
    "idx": (idx(PIXELS[..., 0]), lambda f, data: mnist(f, "t10k-images-idx3-ubyte", data)),
    "idx.gz": (
        gzip.compress(idx(PIXELS[..., 0]), 1),
        lambda f, data: mnist(f, "t10k-images-idx3-ubyte.gz", data),
    ),
    "pickle": (batch(), lambda f, data: put(f, "test", data) or f"cifar100:{f}"),
    "tar": (tar("test", batch()), lambda f, d: put(f, "cifar-100-python.tar.gz", d) or f"cifar100:{f}"),
}


@pytest.mark.parametrize("door", DOORS)
def test_a_damaged_data_set_gives_images_or_one_line(door, tmp_path):
    whole, place = DOORS[door]
    draw = np.random.default_rng(5)
    assert len(open_images(place(tmp_path, whole)))
    refused: list[str] = []
    start = time.monotonic()
    for _ in range(300):
        try:
            images = open_images(place(tmp_path, mutated(whole, draw)))
            assert images.pixels(np.arange(len(images)), Fit(8, 8)).shape[1:] == (8, 8, 3)
            assert len(images.classes) < 200_000
        except VivavoceError as error:
            refused.append(str(error))
        if time.monotonic() - start > 20:  # a slow machine, not a failure
            break
    assert refused
    starts = (str(tmp_path), "mnist: ", "cifar100: ")
    assert [line for line in refused if "\n" in line or not line.startswith(starts)] == []


def test_damaged_targets_give_numbers_or_one_line(tmp_path):
    images = open_images("digits")
    chosen = np.arange(20)
    rows = "".join(f"{k},{(images.labels[k] + 1) % 10}\n" for k in chosen)
    draw = np.random.default_rng(6)
    path, refused = tmp_path / "t.csv", list[str]()
    path.write_text(f"\ufefffile,target\n{rows}")
    assert len(read_targets(path, images, chosen)) == 20
    for _ in range(300):
        put(tmp_path, "t.csv", mutated(f"file,target\n{rows}".encode(), draw))
        try:
            assert len(read_targets(path, images, chosen)) == 20
        except VivavoceError as error:
            refused.append(str(error))
    assert refused
    assert all(line.startswith(str(path)) for line in refused)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "needs a header line"),
        (b"file,target\n0\n", "line 2 lacks a value"),
        (b"file,target\n0,1\n0,2\n", "line 3 gives 0 a second target"),
        (b"file,target\n\xff,1\n", "not UTF-8"),
        (b"file,target\n0," + b"9" * 5000, "is not a class"),
        (b"file,target\n0," + b"9" * 200_000, "not CSV that can be read"),
        (b"file,target\n\0,1\n", "no target for 0"),
        (b"a\n1\n", "needs a header line"),
    ],
)  # fmt: skip
def test_targets_that_are_none(text, message, tmp_path):
    put(tmp_path, "t.csv", text)
    with pytest.raises(VivavoceError, match=message) as caught:
        read_targets(tmp_path / "t.csv", open_images("digits"), np.arange(1))
    assert str(caught.value).startswith(f"{tmp_path}/t.csv: ")


HUGE = bytes([0, 0, 8, 3]) + np.array([2**31] * 3, ">u4").tobytes()


@pytest.mark.parametrize(
    ("door", "data"),
    [
        ("idx", HUGE),
        ("idx.gz", gzip.compress(HUGE + bytes(10**6))),
        ("idx.gz", gzip.compress(idx(PIXELS[..., 0]) + bytes(10**8))),
        ("idx", bytes([0, 0, 8, 255]) + bytes(2000)),
        ("pickle", b"\x80\x02}r\xff\xff\xff\x7f."),
        ("pickle", pickle.dumps({"data": np.zeros((2, 5), np.uint8), "fine_labels": [1, 2]}, 2)),
        ("pickle", pickle.dumps({"data": PIXELS[:1].reshape(1, -1), "fine_labels": [100]}, 2)),
        ("pickle", b"\x80\x02cnumpy\nndarray\nJ\xff\xff\xff\x7f\x85R."),
        ("tar", tar("test", b"")),
    ],
)
def test_more_declared_than_held_is_refused(door, data, tmp_path):
    with pytest.raises(VivavoceError):
        open_images(DOORS[door][1](tmp_path, data))


def test_an_archive_that_unpacks_to_gigabytes_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("vivavoce.images.archives.LIMIT", 10**6)
    put(tmp_path, "cifar-100-python.tar.gz", tar("other", bytes(10**7)))
    with pytest.raises(VivavoceError, match="unpacks to more than"):
        open_images(f"cifar100:{tmp_path}")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"labels": np.full(10, 2**40)}, "name no class"),
        ({"labels": np.full(10, 2**64 - 1, np.uint64)}, "name no class"),
        ({"labels": LABELS.astype(float)}, "one integer per image"),
        ({"classes": np.zeros((10, 2))}, "list of names"),
        ({"classes": np.array([b"\xff"] * 10)}, "not UTF-8"),
        ({"images": PIXELS[:, :0]}, "must be uint8"),
    ],
)
def test_arrays_that_do_not_fit(arrays, message, tmp_path):
    put(tmp_path, "a.npz", npz(**{"images": PIXELS, "labels": LABELS, **arrays}))
    with pytest.raises(VivavoceError, match=message):
        open_images(tmp_path / "a.npz")


def test_images_one_pixel_high_keep_their_colours(tmp_path):
    put(tmp_path, "a.npz", npz(images=PIXELS[:, :1], labels=LABELS, classes=np.array([b"x"] * 10)))
    images = open_images(tmp_path / "a.npz")
    assert np.array_equal(images.pixels(LABELS, Fit(1, 32)), PIXELS[:, :1])
    assert images.classes[0] == "x"
