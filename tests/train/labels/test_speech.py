import shutil

import numpy as np
import pytest
from banks import build_bank

from vivavoce.artifacts import LabelBank
from vivavoce.errors import VivavoceError
from vivavoce.images.classes import CLASSES
from vivavoce.serve.listening.listener import Listener
from vivavoce.sound.playback import waveform
from vivavoce.train.labels import build

needs_flite = pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")


@pytest.mark.parametrize("dataset", ["cifar10", "cifar100"])
def test_published_recordings_give_the_published_arrays(dataset, reference_labels):
    bank = build_bank("speech", CLASSES[dataset], wavs=reference_labels / "wav" / dataset)
    difference = np.abs(bank.labels - np.load(reference_labels / f"{dataset}_speech.npy"))
    assert difference.max() <= 0.4
    assert difference.mean() <= 0.003


@needs_flite
def test_digits_by_flite_are_read_back():
    bank = build_bank("speech", CLASSES["digits"], engine="flite")
    assert bank.mel is not None
    assert bank.frames is not None
    listener = Listener(bank.spoken)
    heard = [
        listener.hear(waveform(label, frames, bank.mel), bank.mel.sample_rate)
        for label, frames in zip(bank.labels, bank.frames, strict=True)
    ]
    assert heard == ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    assert bank.labels.shape == (10, 64, 64)
    assert bank.labels.min() >= -80
    assert bank.labels.max() <= 0
    assert bank.recipe["voice"] == "rms"


@needs_flite
def test_twice_the_same_bytes(tmp_path):
    for name in "ab":
        build_bank("speech", CLASSES["cifar10"], engine="flite").save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert LabelBank.load(tmp_path / "a").spoken[1] == "car"


def test_category_needs_no_bank():
    assert build("category", CLASSES["digits"]) is None


@needs_flite
@pytest.mark.parametrize(
    ("classes", "spoken", "message"),
    [
        (["a", "b", "a"], None, "'a' appears twice"),
        (["cat", "Katze"], ["cat", "cat"], "both say 'cat'"),
        (["cat", "猫"], None, "flite cannot say '猫'"),
        (["cat", "!!!"], None, "flite cannot say '!!!'"),
        (["cat", " "], None, "a class name is empty"),
        (["cat"], None, "at least 2 classes"),
    ],
)
def test_words_that_cannot_be_labels(classes, spoken, message):
    with pytest.raises(VivavoceError, match=message):
        build_bank("speech", classes, spoken=spoken, engine="flite")
