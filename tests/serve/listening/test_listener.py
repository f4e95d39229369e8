import sys

import numpy as np
import pytest

from vivavoce.errors import VivavoceError
from vivavoce.images.classes import CLASSES, spoken_words
from vivavoce.serve.listening.listener import Listener


def test_published_recordings_are_heard(reference_labels):
    soundfile = pytest.importorskip("soundfile")
    words = spoken_words(CLASSES["cifar10"])
    listener = Listener(words)
    heard = [listener.hear(*soundfile.read(reference_labels / f"wav/cifar10/{k}.wav")) for k in range(10)]
    assert heard == list(words)


@pytest.mark.parametrize("dataset", CLASSES)
def test_every_known_word_can_be_heard(dataset):
    listener = Listener(spoken_words(CLASSES[dataset]))
    assert listener.hear(np.zeros(100), 16_000) in ("", *spoken_words(CLASSES[dataset]))


def test_a_word_without_pronunciation():
    with pytest.raises(VivavoceError, match="no English pronunciation for 'xyzzyx'"):
        Listener(["cat", "xyzzyx"])
    Listener(["cat", "xyzzyx"], {"xyzzyx": ("Z IH Z IY",)})


def test_without_pocketsphinx(monkeypatch):
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    with pytest.raises(VivavoceError, match=r'pip install "vivavoce\[listen\]"'):
        Listener(["cat", "dog"])
