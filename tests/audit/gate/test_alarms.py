"""How often the gate cries wolf, and how often it sees one: simulated outcome vectors."""

import numpy as np
import pytest
from simulation import failing, outcomes


def test_the_simulation_draws_what_it_says():
    draw = np.random.default_rng(1)
    (old, new), (other_old, other_new) = outcomes(draw, 100_000, 2, 0.1, 0.05, 1)
    lost, gained = (old.values & ~new.values).mean(), (new.values & ~old.values).mean()
    assert (lost, gained) == pytest.approx((0.075, 0.025), abs=0.003)
    assert other_old.values.mean() == pytest.approx(other_new.values.mean(), abs=0.003)


@pytest.mark.parametrize("rows", [1, 23])
@pytest.mark.parametrize("discordant", [0.05, 0.1, 0.2])
@pytest.mark.parametrize("n", [360, 1000])
def test_equal_models_fail_in_at_most_one_of_twenty_checks(n, discordant, rows):
    assert failing(n, discordant, rows=rows, rounds=2000 if rows == 1 else 300) <= 0.05


@pytest.mark.parametrize("rows", [1, 23])
@pytest.mark.parametrize("discordant", [0.05, 0.075, 0.1])
def test_a_true_drop_of_five_points_on_1000_images_is_caught(discordant, rows):
    assert failing(1000, discordant, 0.05, rows, rounds=1000 if rows == 1 else 200) >= 0.95
