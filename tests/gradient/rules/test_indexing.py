import numpy as np
import pytest

rng = np.random.default_rng(6)
x = rng.standard_normal((3, 4, 5)).astype(np.float32)


def ints(*numbers):
    return np.array(numbers, np.int64)


CASES = [
    ("Gather", {"x": x, "i": np.array(-1)}, {"axis": 1}),
    ("Gather", {"x": x, "i": ints(2)}, {"axis": 0}),
    ("Gather", {"x": x, "i": ints(2, 0, 2)}, {"axis": 0}),
    ("Gather", {"x": x, "i": np.array([[1, 3], [0, 1]])}, {"axis": 1}),
    ("Gather", {"x": x, "i": np.array([[1, -1], [0, 1]])}, {"axis": 2}),
    ("GatherElements", {"x": x, "i": rng.integers(0, 4, (3, 2, 5))}, {"axis": 1}),
    ("GatherND", {"x": x, "i": np.array([[0, 1], [2, 3], [0, 1]])}, {}),
    ("GatherND", {"x": x, "i": np.array([[1], [3], [0]])}, {"batch_dims": 1}),
    ("ScatterND", {"xd": x, "i": ints(2, 0).reshape(2, 1), "xu": x[:2] + 1}, {}),
    ("ScatterND", {"xd": x, "i": ints(2, 2).reshape(2, 1), "xu": x[:2] + 1}, {"reduction": "add"}),
    ("ScatterElements", {"xd": x, "i": ints(2, 0, 1, 3, 1).reshape(1, 1, 5), "xu": x[:1, :1] + 1},
     {"axis": 1}),
    ("ScatterElements", {"xd": x, "i": ints(1, 1).reshape(1, 2, 1), "xu": x[:1, :2, :1] + 1},
     {"axis": 1, "reduction": "add"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("operator", "inputs", "attributes"), CASES, ids=[f"{k}-{row[0]}" for k, row in enumerate(CASES)]
)
def test_rule(check_rule, operator, inputs, attributes):
    check_rule(operator, inputs, attributes)


def test_gather_of_a_large_table(check_rule, monkeypatch):
    from vivavoce.gradient.rules import indexing

    monkeypatch.setattr(indexing, "_SMALL", 0)
    check_rule("Gather", {"x": x, "i": ints(2, 0, -1)}, {"axis": 1})


@pytest.mark.parametrize("largest", [0, 1])
def test_top_k(check_rule, largest):
    check_rule("TopK", {"x": x, "k": ints(2)}, {"axis": 1, "largest": largest}, outputs=2)
