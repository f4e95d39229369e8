"""Randomness that belongs to an image."""

import numpy as np
import pytest
from scipy import stats

from vivavoce.audit.attacks.streams import Streams, mix

MANY = Streams.of(7, "square", np.arange(2000))


def test_the_finaliser_gives_splitmix64s_published_outputs():
    """The first outputs of the reference generator from seed 1234567."""
    seed = np.array([1234567], np.uint64) + np.uint64(0x9E3779B97F4A7C15) * np.arange(3, dtype=np.uint64)
    assert mix(seed).tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@pytest.mark.parametrize("draw", ["uniform", "normal", "integers", "signs"])
def test_draws_do_not_depend_on_the_batch_nor_on_the_order(draw):
    def take(indices):
        streams = Streams.of(3, "pgd", np.asarray(indices))
        return getattr(streams, draw)(5, *([9] if draw == "integers" else []), (2, 3))

    whole = take(range(50))
    np.testing.assert_array_equal(take([17, 4]), whole[[17, 4]])
    part = Streams.of(3, "pgd", np.arange(50)).part(np.array([17, 4]))
    np.testing.assert_array_equal(
        part.uniform(1, (4,)), Streams.of(3, "pgd", np.array([17, 4])).uniform(1, (4,))
    )


def test_seeds_attacks_steps_and_forks_differ():
    indices = np.arange(3)
    draws = [
        Streams.of(0, "pgd", indices).uniform(0, (8,)),
        Streams.of(1, "pgd", indices).uniform(0, (8,)),
        Streams.of(0, "noise", indices).uniform(0, (8,)),
        Streams.of(0, "pgd", indices).uniform(1, (8,)),
        Streams.of(0, "pgd", indices).fork(0).uniform(0, (8,)),
        Streams.of(0, "pgd", indices).fork(1).uniform(0, (8,)),
        Streams.of(0, "pgd", indices).fork(1).fork(1).uniform(0, (8,)),
    ]
    assert len(np.unique(np.concatenate(draws))) == 7 * 3 * 8


@pytest.mark.parametrize("axis", ["images", "steps", "counter"])
def test_uniform_along_images_steps_and_counter(axis):
    draws = {
        "images": lambda: MANY.uniform(0)[:, None],
        "steps": lambda: np.stack([MANY.part(np.array([5])).uniform(k) for k in range(2000)]),
        "counter": lambda: MANY.part(np.array([5])).uniform(0, (2000,)).T,
    }[axis]().ravel()
    assert draws.min() >= 0
    assert draws.max() < 1
    assert stats.kstest(draws, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 4 / np.sqrt(2000)


def test_images_steps_and_forks_are_uncorrelated():
    columns = [MANY.uniform(k) for k in range(4)] + [MANY.fork(k).uniform(0) for k in range(4)]
    columns.append(Streams.of(7, "square", np.arange(1, 2001)).uniform(1))
    correlation = np.corrcoef(columns) - np.eye(len(columns))
    assert np.abs(correlation).max() < 4.5 / np.sqrt(2000)


def test_normals_are_normal_also_when_their_number_is_odd():
    draws = MANY.normal(0, (3, 5))
    assert draws.shape == (2000, 3, 5)
    assert stats.kstest(draws.ravel()[:5000], "norm").pvalue > 1e-3
    assert np.isfinite(draws).all()


def test_integers_and_signs_cover_their_range_evenly():
    counts = np.bincount(MANY.integers(0, 7, (5,)).ravel(), minlength=7)
    assert stats.chisquare(counts).pvalue > 1e-3
    assert len(counts) == 7
    assert set(np.unique(MANY.signs(1))) == {-1, 1}
