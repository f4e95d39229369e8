"""The files that MNIST, Fashion-MNIST and CIFAR are published in, small ones made here and the real ones."""

import gzip
import hashlib
import os
import pickle
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from vivavoce.errors import VivavoceError
from vivavoce.images import Fit, archives, open_images
from vivavoce.images.archives import ARCHIVES, Archive, open_archive
from vivavoce.images.classes import CLASSES

RANDOM = np.random.default_rng(0)


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def put_idx(folder: Path, images: np.ndarray, labels: np.ndarray, packed: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for stem in ("train", "t10k"):
        for part, array in (("images-idx3", images), ("labels-idx1", labels)):
            data = idx(array)
            path = folder / f"{stem}-{part}-ubyte"
            if packed:
                path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(data))
            else:
                path.write_bytes(data)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("inside", ["", "mnist", "MNIST/raw"])
def test_idx_files_packed_or_not_here_or_in_a_subfolder(tmp_path, packed, inside):
    images, labels = RANDOM.integers(0, 256, (7, 28, 28)).astype(np.uint8), np.arange(7, dtype=np.uint8)
    put_idx(tmp_path / inside, images, labels, packed)
    found, classes = open_archive("mnist", "train", tmp_path)
    assert np.array_equal(found, images)
    assert classes.tolist() == [*range(7)]
    seen = open_images(f"mnist:{tmp_path}")
    assert seen.classes == CLASSES["mnist"]
    assert np.array_equal(seen.pixels(np.array([3]), Fit(28, 28, 1))[0, ..., 0], images[3])
    assert seen.pixels(np.array([3]), Fit(32, 32)).shape == (1, 32, 32, 3)


def records(images: np.ndarray, labels: np.ndarray, coarse: bool) -> bytes:
    rows = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    columns = [labels[:, None]] if not coarse else [labels[:, None] // 5, labels[:, None]]
    return np.concatenate([*columns, rows], axis=1).astype(np.uint8).tobytes()


def pack(folder: Path, archive: str, inside: str, files: dict[str, bytes]) -> None:
    folder.mkdir(exist_ok=True)
    with tarfile.open(folder / archive, "w:gz") as tar:
        for name, data in files.items():
            (folder / name).write_bytes(data)
            tar.add(folder / name, f"{inside}/{name}")
            (folder / name).unlink()


def cifar10_files(suffix: str, write) -> tuple[np.ndarray, dict[str, bytes]]:
    images = RANDOM.integers(0, 256, (12, 32, 32, 3)).astype(np.uint8)
    labels = np.arange(12) % 10
    names = [*(f"data_batch_{k}{suffix}" for k in range(1, 6)), f"test_batch{suffix}"]
    return images, {
        n: write(images[2 * k : 2 * k + 2], labels[2 * k : 2 * k + 2]) for k, n in enumerate(names)
    }


def pickled(images: np.ndarray, labels: np.ndarray, key: str = "labels") -> bytes:
    rows = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    return pickle.dumps({"data": rows, key: labels.tolist(), "filenames": ["a.png"]}, protocol=2)


@pytest.mark.parametrize(
    ("suffix", "write", "archive", "inside"),
    [
        (".bin", partial(records, coarse=False), "cifar-10-binary.tar.gz", "cifar-10-batches-bin"),
        ("", pickled, "cifar-10-python.tar.gz", "cifar-10-batches-py"),
    ],
)
@pytest.mark.parametrize("unpacked", [True, False])
def test_both_editions_of_cifar10(tmp_path, suffix, write, archive, inside, unpacked):
    images, files = cifar10_files(suffix, write)
    if unpacked:
        (tmp_path / inside).mkdir()
        for name, data in files.items():
            (tmp_path / inside / name).write_bytes(data)
    else:
        pack(tmp_path, archive, inside, files)
    train, classes = open_archive("cifar10", "train", tmp_path)
    assert np.array_equal(train, images[:10])
    assert classes.tolist() == [*range(10)]
    test, classes = open_archive("cifar10", "test", tmp_path)
    assert np.array_equal(test, images[10:])
    assert classes.tolist() == [0, 1]


@pytest.mark.parametrize("edition", ["binary", "python"])
def test_cifar100_is_labelled_by_its_fine_classes(tmp_path, edition):
    images = RANDOM.integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
    labels = np.array([99, 0, 42])
    write = partial(records, coarse=True) if edition == "binary" else partial(pickled, key="fine_labels")
    for part in ("train", "test"):
        name = f"{part}.bin" if edition == "binary" else part
        (tmp_path / name).write_bytes(write(images, labels))
    found, classes = open_archive("cifar100", "test", tmp_path)
    assert np.array_equal(found, images)
    assert classes.tolist() == labels.tolist()


class Ill:
    def __reduce__(self):
        return os.getcwd, ()


def test_a_pickle_that_asks_for_more_than_arrays_is_refused(tmp_path):
    for part in ("train", "test"):
        (tmp_path / part).write_bytes(pickle.dumps({"data": Ill()}, protocol=2))
    with pytest.raises(VivavoceError, match="getcwd"):
        open_archive("cifar100", "train", tmp_path)


@pytest.mark.parametrize("damage", [b"", b"\0\0\x08\x03", b"\0\0\x0d\x01\0\0\0\1abcd", b"text"])
def test_damaged_files_are_named(tmp_path, damage):
    put_idx(tmp_path, np.zeros((2, 28, 28), np.uint8), np.zeros(2, np.uint8), packed=False)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(damage)
    with pytest.raises(VivavoceError, match="mnist files here are damaged"):
        open_archive("mnist", "train", tmp_path)


def test_a_folder_without_the_files_is_refused(tmp_path):
    with pytest.raises(VivavoceError, match=r"cifar-10-binary\.tar\.gz"):
        open_images(f"cifar10:{tmp_path}")


@pytest.fixture
def published(tmp_path, monkeypatch):
    """MNIST's maker, on this machine, with a set of three images."""
    pytest.importorskip("pooch")
    web = tmp_path / "web"
    put_idx(web, RANDOM.integers(0, 256, (3, 28, 28)).astype(np.uint8), np.arange(3, dtype=np.uint8), True)
    handler = partial(SimpleHTTPRequestHandler, directory=str(web))
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    md5 = {f.name: hashlib.md5(f.read_bytes()).hexdigest() for f in sorted(web.iterdir())}
    archive = Archive(f"http://127.0.0.1:{server.server_port}/", md5, (), ARCHIVES["mnist"].read)
    monkeypatch.setitem(ARCHIVES, "mnist", archive)
    monkeypatch.setenv(archives.ROOT, str(tmp_path / "root"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield web
    server.shutdown()
    server.server_close()


def test_a_set_that_is_not_there_is_downloaded_once(tmp_path, published, capfd):
    assert len(open_images("mnist")) == 3
    assert len([*(tmp_path / "root" / "mnist").iterdir()]) == 4
    for file in published.iterdir():
        file.unlink()
    assert len(open_images("mnist")) == 3
    assert "100%" in capfd.readouterr().err


def test_a_download_that_is_not_what_was_published_is_refused(tmp_path, published):
    (published / "t10k-images-idx3-ubyte.gz").write_bytes(b"something else")
    with pytest.raises(VivavoceError, match="could not be downloaded"):
        open_images("mnist")
    assert not (tmp_path / "root" / "mnist" / "t10k-images-idx3-ubyte.gz").exists()


def test_debians_fashion_mnist():
    folder = Path("/usr/share/datasets/fashion-mnist")
    if not folder.is_dir():
        pytest.skip("Debian's dataset-fashion-mnist is not installed")
    images = open_images("fashion-mnist")
    assert np.bincount(images.labels).tolist() == [1000] * 10
    assert images.classes[9] == "Ankle boot"


def test_the_real_mnist_test_images(shared):
    folder = shared / "data" / "mnist-t10k"
    for name in ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"):
        assert hashlib.md5((folder / name).read_bytes()).hexdigest() == ARCHIVES["mnist"].md5[name]
    images = open_images(f"mnist:{folder}")
    assert np.bincount(images.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
