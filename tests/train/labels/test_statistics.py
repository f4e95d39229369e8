import numpy as np
import pytest

from vivavoce.artifacts import LabelBank
from vivavoce.train.labels.statistics import closest_pair, consistent, indistinct_pairs, paper

FILES = {
    "constant": "uniform", "speech": "speech", "shuffled-speech": "shuffle",
    "gaussian-composition": "composite", "bert": "bert", "glove": "glove",
    "uniform-random": "random", "low-dim": "lowdim",
}  # fmt: skip

# Table 2 of Chen et al. 2021: entropy, L1, L2, each mean and standard deviation.
TABLE_2 = {
    (10, "category"): (0.47, 0.00, 2.00, 0.00, 1.41, 0.00),
    (10, "constant"): (0.00, 0.00, 26.07, 15.72, 26.07, 15.72),
    (10, "speech"): (11.35, 0.35, 23.80, 5.16, 12.95, 2.70),
    (10, "shuffled-speech"): (11.35, 0.35, 35.29, 2.18, 18.87, 1.53),
    (10, "gaussian-composition"): (12.00, 0.00, 24.13, 3.36, 19.41, 1.47),
    (10, "bert"): (None, None, 5.71, 0.94, 2.06, 0.24),
    (10, "glove"): (5.64, 0.00, 7.35, 1.69, 1.30, 0.31),
    (100, "category"): (0.08, 0.00, 2.00, 0.00, 1.41, 0.00),
    (100, "constant"): (0.00, 0.00, 21.76, 15.16, 21.76, 15.16),
    (100, "speech"): (11.37, 0.32, 21.45, 5.53, 13.15, 2.19),
    (100, "shuffled-speech"): (11.37, 0.32, 34.40, 2.59, 17.81, 1.24),
    (100, "gaussian-composition"): (12.00, 0.00, 25.75, 4.72, 20.60, 2.96),
    (100, "bert"): (None, None, 7.89, 2.84, 2.63, 0.70),
    (100, "glove"): (5.64, 0.00, 5.62, 0.90, 0.99, 0.16),
}
# Kinds that the table leaves out, recomputed once from the published arrays.
BESIDE_THE_TABLE = {
    (10, "uniform-random"): (12.00, 0.00, 25.82, 0.94, 26.14, 0.25),
    (100, "uniform-random"): (12.00, 0.00, 25.86, 0.90, 26.15, 0.24),
    (10, "low-dim"): (3.32, 0.00, 3.41, 0.77, 1.30, 0.25),
}


@pytest.mark.parametrize(("classes", "kind"), TABLE_2 | BESIDE_THE_TABLE)
def test_table_2(classes, kind, reference_labels):
    """Every cell but BERT's entropy: the paper took it from the raw states, whose array is not published."""
    if kind == "category":
        labels = np.eye(classes, dtype=np.float32)
    else:
        labels = np.load(reference_labels / f"cifar{classes}_{FILES[kind]}.npy")
    found = paper(kind, labels)
    cells = [getattr(s, part) for s in (found.entropy, found.l1, found.l2) for part in ("mean", "deviation")]
    for cell, printed in zip(cells, (TABLE_2 | BESIDE_THE_TABLE)[classes, kind], strict=True):
        assert printed is None or cell == pytest.approx(printed, abs=0.01 + 1e-9)


def test_published_speech_has_one_pair_below_the_threshold(reference_labels):
    labels = np.load(reference_labels / "cifar100_speech.npy")
    bank = LabelBank("speech", labels, tuple(map(str, range(100))))
    (pair,) = indistinct_pairs(bank)
    assert (pair.first, pair.second) == ("56", "59")
    assert pair.loss == pytest.approx(3.34, abs=0.005)
    assert closest_pair(bank) == pair


def test_consistent_measures_do_not_know_the_size():
    small = np.random.default_rng(0).uniform(0, 80, (5, 32, 32))
    large = np.kron(small, np.ones((1, 3, 3)))
    assert consistent(large).l1.mean == pytest.approx(consistent(small).l1.mean)
    assert consistent(large).l2.mean == pytest.approx(consistent(small).l2.mean)
    assert consistent(large).entropy.mean == pytest.approx(consistent(small).entropy.mean)


def test_entropy_of_known_histograms():
    halves = np.stack([np.repeat([0.0, 80.0], 8).reshape(4, 4), np.full((4, 4), 80.0)])
    assert paper("speech", halves).entropy.mean == pytest.approx(0.5)
    assert consistent(halves).entropy.mean == pytest.approx(0.5)
    assert str(consistent(halves).entropy) == "0.50±0.50"
