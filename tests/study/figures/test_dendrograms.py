"""Dendrograms: the trees are average linkage of the class vectors' distances."""

import numpy as np
import pytest
from scipy.cluster.hierarchy import linkage

from vivavoce.artifacts import LabelBank
from vivavoce.errors import VivavoceError
from vivavoce.images.classes import CLASSES
from vivavoce.study.figures import dendrograms
from vivavoce.study.methods import vectors
from vivavoce.train.labels.semantics.wordnet import PLACES, WordNet


@pytest.fixture
def wordnet():
    if not any((place / "index.noun").exists() for place in PLACES):
        pytest.skip("WordNet is not on this machine (Debian's wordnet-base)")


@pytest.fixture
def without(monkeypatch):
    def missing() -> WordNet:
        raise VivavoceError("not here")

    monkeypatch.setattr(dendrograms, "WordNet", missing)


def heights(axes) -> list[float]:
    """Where branches of a tree meet."""
    paths = axes.collections[0].get_paths()
    return sorted({round(float(path.vertices[:, 0].max()), 4) for path in paths})


def test_a_tree_a_method(methods, style, without):
    figure = dendrograms.draw(methods, style)
    assert [axes.get_title(loc="left") for axes in figure.axes] == list(methods.plan.grid.method)
    folder = next(r.folder for r in methods.finished if r.cell.method == "lwal" and r.cell.seed == 12)
    rows = LabelBank.load(folder / vectors("lwal")).labels
    merges = linkage(rows.astype(np.float64), "average")[:, 2]
    np.testing.assert_allclose(heights(figure.axes[3]), sorted(merges), atol=1e-4)
    named = {text.get_text() for text in figure.axes[3].get_yticklabels()}
    assert named == set(CLASSES["cifar10"])
    assert "WordNet is not on this machine" in figure.texts[0].get_text()


def test_beside_wordnet(methods, style, wordnet):
    figure = dendrograms.draw(methods, style)
    first, *others = figure.axes
    assert first.get_title(loc="left") == "WordNet, in steps"
    assert all(", tau-b " in axes.get_title(loc="left") for axes in others)
    colours = {text.get_text(): text.get_color() for text in others[0].get_yticklabels()}
    assert colours["cat"] == colours["dog"] == colours["bird"] != colours["truck"] == colours["automobile"]
    assert colours == {text.get_text(): text.get_color() for text in others[1].get_yticklabels()}


def test_tau_is_one_for_wordnets_own_distances(wordnet):
    words = dendrograms.Meanings(CLASSES["cifar10"], WordNet())
    assert words.tau(words.distances) == pytest.approx(1)


def test_classes_that_wordnet_does_not_have(wordnet, style):
    words = dendrograms.Meanings(("xqa", "xqb", "xqc", "xqd"), WordNet())
    assert not words.here
    assert words.tau(np.ones((4, 4))) is None
    assert words.colours(range(4), style) == [style.ink] * 4
