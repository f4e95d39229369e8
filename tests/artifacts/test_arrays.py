"""Archives that are damaged, or that declare more than they hold."""

import io
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest

from vivavoce.artifacts import LabelBank
from vivavoce.artifacts.arrays import read_arrays
from vivavoce.errors import VivavoceError


@pytest.fixture
def bank(tmp_path):
    labels = np.random.default_rng(0).uniform(-80, 0, (3, 8, 8)).astype(np.float32)
    LabelBank("speech", labels, ("a", "b", "c")).save(tmp_path / "bank.npz")
    return tmp_path / "bank.npz"


def header(shape, dtype="<f4") -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue()


def archive(path, members: dict[str, bytes], method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def refused(path, message) -> int:
    """Bytes that reading took at most, until the file was refused in one line that names it."""
    tracemalloc.start()
    try:
        with pytest.raises(VivavoceError, match=message) as caught:
            read_arrays(path, "label bank", limit=2**20)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return peak


def test_an_archive_that_unpacks_to_more_than_the_limit_is_refused_before_it_is_unpacked(tmp_path):
    bomb = archive(tmp_path / "bomb.npz", {"labels.npy": header((50, 2**20), "|u1") + bytes(50 * 2**20)})
    assert bomb.stat().st_size < 2**17
    assert refused(bomb, "unpacks to") < 2**20


@pytest.mark.parametrize("shape", [(2**40,), (2**31, 2**31, 2**31), (-1,), (-4, -4)])
def test_an_array_that_declares_more_than_it_holds_is_refused(shape, tmp_path):
    assert refused(archive(tmp_path / "a.npz", {"labels.npy": header(shape)}), "declares more") < 2**20


def test_objects_are_never_unpickled(tmp_path):
    data = header((1,), "|O") + pickle.dumps([print])
    refused(archive(tmp_path / "a.npz", {"labels.npy": data}), "Python objects")


@pytest.mark.parametrize("data", [b"", b"\x93NUMPY", b"\x93NUMPY\x09\x00", header((4,))[:40], b"text" * 99])
def test_a_member_that_is_no_array_is_refused(data, tmp_path):
    refused(archive(tmp_path / "a.npz", {"labels.npy": data}), "not a label bank")


def test_a_folder_a_device_and_a_missing_file_are_refused(tmp_path):
    refused(tmp_path, "not a regular file")
    refused(tmp_path / "gone.npz", "no such label bank")
    with pytest.raises(VivavoceError, match="not a regular file"):
        LabelBank.load("/dev/zero")


def test_no_damage_ends_in_anything_but_one_line(bank):
    """300 seeded mutations of a bank: flipped, cut, repeated and inserted bytes."""
    whole, draw = bank.read_bytes(), np.random.default_rng(0)
    read = 0
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(draw.integers(1, 6)):
            at, kind = int(draw.integers(len(data))), draw.integers(4)
            if kind == 0:
                data[at] ^= 1 << int(draw.integers(8))
            elif kind == 1:
                data[at] = int(draw.integers(256))
            elif kind == 2:
                del data[at : at + int(draw.integers(1, 40))]
            else:
                data[at:at] = draw.bytes(int(draw.integers(1, 9)))
        bank.write_bytes(data)
        try:
            LabelBank.load(bank)
            read += 1
        except VivavoceError as error:
            assert str(bank) in str(error)  # noqa: PT017
            assert "\n" not in str(error)  # noqa: PT017
    assert read < 30
