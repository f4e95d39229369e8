"""The papers' figures on curves made by hand."""

import pytest

from vivavoce.errors import VivavoceError
from vivavoce.train.learned.metrics import auac, best, first_reaching, mean_curve, saved

CURVE = [0.1, 0.5, 0.7, 0.7, 0.6]


def test_best_and_area():
    assert best(CURVE) == 0.7
    assert auac(CURVE) == pytest.approx(52.0)


@pytest.mark.parametrize(
    ("target", "epoch"), [(0.05, 1), (0.5, 2), (0.6, 3), (0.7, 3), (0.7000001, None), (0.9, None)]
)
def test_the_first_epoch_that_reaches_a_target_ties_included(target, epoch):
    assert first_reaching(CURVE, target) == epoch


def test_a_mean_that_ties_but_for_rounding_counts():
    mean = mean_curve([[0.1, 0.7], [0.2, 0.8], [0.3, 0.6]])
    assert first_reaching(mean, 0.7) == 2


def test_epochs_saved():
    found = saved(CURVE, 0.7)
    assert found is not None
    assert (found.epoch, found.epochs, found.seconds) == (3, pytest.approx(0.4), None)
    at_the_end = saved([0.1, 0.2], 0.2)
    assert at_the_end is not None
    assert at_the_end.epochs == 0
    assert saved(CURVE, 0.8) is None


def test_time_saved_counts_each_methods_own_seconds():
    found = saved(CURVE, 0.7, seconds=[4.0] * 5, baseline=[2.0] * 5)
    assert found is not None
    assert found.epochs == pytest.approx(0.4)
    assert found.seconds == pytest.approx(1 - 12 / 10)  # fewer epochs, yet slower


def test_runs_of_different_lengths_are_refused():
    with pytest.raises(VivavoceError, match="different numbers"):
        mean_curve([[0.1, 0.2], [0.1]])
