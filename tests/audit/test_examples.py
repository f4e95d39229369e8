"""Which examples are kept and shown."""

import numpy as np
import pytest

from vivavoce.audit.examples import EXAMPLES, Example, admits, joined, shown


def stream(labels, places):
    kept: list[Example] = []
    for place in places:
        if admits(kept, place, labels):
            kept.append(Example(place, "pgd", 0.1, np.zeros(1), np.zeros(1)))
    return kept


def test_few_are_kept_and_all_classes_are_shown():
    labels = np.repeat(np.arange(10), 20)
    kept = stream(labels, range(200))
    assert len(kept) < 2 * EXAMPLES
    assert [int(labels[e.place]) for e in shown(kept, labels)] == list(range(EXAMPLES))
    one = stream(np.zeros(30, int), range(30))
    assert [e.place for e in shown(one, np.zeros(30, int))] == list(range(EXAMPLES))


@pytest.mark.parametrize("seed", range(5))
def test_those_of_the_parts_hold_those_of_the_whole(seed):
    rng = np.random.default_rng(seed)
    labels = np.sort(rng.integers(0, 12, 90))
    broken = np.flatnonzero(rng.random(90) < 0.5)
    parts = [stream(labels, broken[(broken >= a) & (broken < a + 30)]) for a in (0, 30, 60)]
    merged = joined([e for part in parts for e in part], labels)
    assert [e.place for e in merged] == [e.place for e in stream(labels, broken)]
