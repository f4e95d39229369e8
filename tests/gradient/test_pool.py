"""In which sizes batches run, and how much memory that takes."""

import numpy as np
from onnx.helper import make_node as node

from vivavoce.gradient import InputGradient
from vivavoce.gradient.memory import fitting, sessions_beside
from vivavoce.gradient.pool import KEPT, Pool


def sizes(pool: Pool, count: int) -> list[int]:
    """The sizes in which `count` images run."""
    found = []
    while count > 0:
        found.append(pool.size(count, (3,)))
        pool.session((found[-1], 3))
        count -= found[-1]
    return found


def a_pool(kept: int, largest: int | None = None) -> tuple[Pool, list[int]]:
    made: list[int] = []
    pool = Pool(lambda shape: made.append(shape[0]) or object())  # type: ignore[arg-type, return-value]
    pool.kept, pool.largest = kept, largest
    return pool, made


def test_with_room_for_many_a_batch_runs_whole():
    pool, made = a_pool(KEPT)
    assert [sizes(pool, n) for n in (64, 63, 40, 20, 15, 3, 2, 1)] == [
        [64],
        [64],
        [64],
        [20],
        [20],
        [3],
        [3],
        [1],
    ]
    assert made == [64, 20, 3, 1]


def test_the_last_room_is_for_single_images_and_nothing_is_made_twice():
    pool, made = a_pool(2, 8)
    assert [sizes(pool, n) for n in (8, 3, 8, 1, 20)] == [[8], [1, 1, 1], [8], [1], [8, 8, 8]]
    assert made == [8, 1]


def test_one_session_takes_everything():
    pool, made = a_pool(1, 2)
    assert [sizes(pool, n) for n in (2, 1, 5)] == [[2], [2], [2, 2, 2]]
    assert made == [2]


def test_a_gpu_gets_few_sizes():
    """Powers of two, or the largest, so that the kernels are tuned for few shapes."""
    pool, made = a_pool(KEPT, 48)
    pool.rounded = True
    for count in (100, 31, 23, 20, 9, 3, 5, 48, 47, 1, 2, 4):
        found = sizes(pool, count)
        assert sum(found) >= count
        assert set(found) <= {1, 2, 4, 8, 16, 32, 48}
    assert made == [48, 4, 32, 16, 8, 1]


def test_a_much_larger_batch_takes_the_place_of_the_oldest():
    pool, made = a_pool(2)
    assert [sizes(pool, n) for n in (2, 1, 64)] == [[2], [2], [64]]
    assert made == [2, 64]


def chain(graph_of, entries: int):
    """A model of 4 kB of images whose weights hold a number of entries."""
    weight = np.ones((1024, entries // 1024), np.float32)
    nodes = [
        node("Flatten", ["image"], ["f"]),
        node("Tanh", ["f"], ["t"]),
        node("MatMul", ["t", "w"], ["scores"]),
    ]
    return graph_of(nodes, {"w": weight}, ["N", 1, 32, 32], entries // 1024)


def test_the_budget_counts_all_that_lives(graph_of):
    """The model, the file's session, and per session of the gradient the weights and their transposes."""
    gradient = InputGradient(chain(graph_of, 1024 * 256), "margin")
    weights, (each, image) = gradient.weights, gradient.bytes_per_image()
    assert (weights // 1024**2, image) == (1, 4096)
    for sessions in (1, 2, 3, KEPT):
        held = (2 + 2 * sessions + (sessions > 1)) * weights
        arenas = 1.4 * (1.75 if sessions > 2 else 1)
        budget = 250_000_000 + held + int(9.5 * (arenas * each + 24 * image))
        assert sessions_beside(gradient, 9, budget) == sessions
        assert fitting(gradient, budget, 64) == (8 if sessions > 1 else 2)
    assert fitting(gradient, 1, 64) == 1
    assert fitting(gradient, 10**12, 64) == 64


def test_a_limit_bounds_every_run(graph_of):
    gradient = InputGradient(chain(graph_of, 10240), "margin")
    whole = gradient(np.ones((7, 1, 32, 32), np.float32), np.arange(7))
    gradient = InputGradient(chain(graph_of, 10240), "margin")
    made, make = [], gradient.pool.make
    gradient.pool.make = lambda shape: made.append(shape[0]) or make(shape)
    gradient.limit(3, 10**12)
    parts = gradient(np.ones((7, 1, 32, 32), np.float32), np.arange(7))
    assert max(made) == 3
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)
