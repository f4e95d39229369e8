import numpy as np
import pytest
import torch
from torch.nn import functional as F

from vivavoce.artifacts import LabelBank
from vivavoce.artifacts.manifest import Mel
from vivavoce.errors import VivavoceError


@pytest.fixture
def bank() -> LabelBank:
    labels = np.random.default_rng(0).uniform(-80, 0, (3, 8, 8)).astype(np.float32)
    return LabelBank(
        "speech", labels, ("a", "b", "c"), ("ay", "bee", "see"), (5, 6, 7), Mel(), {"engine": "test"}
    )


def test_smooth_l1_is_the_frameworks(bank):
    predictions = bank.labels + np.random.default_rng(1).normal(0, 1, (3, 8, 8)).astype(np.float32)
    ours = bank.smooth_l1(predictions)
    for n, row in enumerate(ours):
        for k, value in enumerate(row):
            pair = (torch.from_numpy(predictions[n]).double(), torch.from_numpy(bank.labels[k]).double())
            assert value == pytest.approx(F.smooth_l1_loss(*pair).item(), rel=1e-12)


def test_squared_distance_is_the_mean_square(bank):
    ours = bank.squared_distance(bank.labels)
    assert np.diag(ours) == pytest.approx(0)
    assert ours[0, 1] == pytest.approx(((bank.labels[0].astype(float) - bank.labels[1]) ** 2).mean())


def test_temperature_is_an_eighth_of_the_median_distance(bank):
    d = bank.squared_distance(bank.labels)
    assert bank.temperature == pytest.approx(np.median([d[0, 1], d[0, 2], d[1, 2]]) / 8)


def test_survives_a_file(bank, tmp_path):
    bank.save(tmp_path / "bank.npz")
    again = LabelBank.load(tmp_path / "bank.npz")
    assert np.array_equal(again.labels, bank.labels)
    assert (again.classes, again.spoken, again.frames, again.mel, again.recipe, again.digest) == (
        bank.classes, bank.spoken, bank.frames, bank.mel, bank.recipe, bank.digest
    )  # fmt: skip


def test_a_changed_file_is_refused(bank, tmp_path):
    path = tmp_path / "bank.npz"
    bank.save(path)
    with np.load(path) as archive:
        about, labels = archive["about"], archive["labels"]
    labels[0, 0, 0] += 1
    np.savez(path, about=about, labels=labels)
    with pytest.raises(VivavoceError, match="digest"):
        LabelBank.load(path)


@pytest.mark.parametrize("content", [b"", b"not a bank", b"PK\x03\x04 cut off"])
def test_a_file_that_is_no_bank_is_refused(content, tmp_path):
    (tmp_path / "bank.npz").write_bytes(content)
    with pytest.raises(VivavoceError, match="not a label bank"):
        LabelBank.load(tmp_path / "bank.npz")


def test_names_that_do_not_fit_are_refused(bank):
    with pytest.raises(VivavoceError, match="2 classes for 3 labels"):
        LabelBank("speech", bank.labels, ("a", "b"))
    with pytest.raises(VivavoceError, match="'a' appears twice"):
        LabelBank("speech", bank.labels, ("a", "a", "b"))


def test_a_bank_is_matched_to_classes_by_name(bank):
    again = bank.matched_to(("c", "a", "b"))
    assert np.array_equal(again.labels, bank.labels[[2, 0, 1]])
    assert (again.spoken, again.frames) == (("see", "ay", "bee"), (7, 5, 6))
    with pytest.raises(VivavoceError, match="has no label for 'd'"):
        bank.matched_to(("a", "b", "c", "d"))
    with pytest.raises(VivavoceError, match="for other classes: 'c' is not one of the 2 here"):
        bank.matched_to(("a", "b"))


def test_a_bank_of_a_newer_version_is_refused(bank, tmp_path):
    path = tmp_path / "bank.npz"
    bank.save(path)
    with np.load(path) as archive:
        about, labels = str(archive["about"]), archive["labels"]
    np.savez(path, about=np.array(about.replace('"schema":1', '"schema":99')), labels=labels)
    with pytest.raises(VivavoceError, match="newer vivavoce"):
        LabelBank.load(path)
