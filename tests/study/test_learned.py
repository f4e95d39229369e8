"""The comparison of methods: what is kept of a cell, the table."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from vivavoce.artifacts import LabelBank
from vivavoce.study.cell import Cell
from vivavoce.study.learned import FEATURES, curve, learned_tables, summarise, table
from vivavoce.study.methods import METHODS, vectors
from vivavoce.study.plan import read_plan
from vivavoce.study.records import Record
from vivavoce.study.work import choose, work
from vivavoce.train.epoch import Epoch


def record(folder: Path, method: str, seed: int, accuracies, seconds=1.0) -> Record:
    cell = Cell(dataset="made", level=100, encoder="resnet8", seed=seed, method=method, recipe="adaptive")
    own = folder / cell.folder
    (own / "vectors").mkdir(parents=True)
    history = [
        Epoch(k + 1, 1e-3, 0.5, 0.5, 0.5, seconds, share, share / 2) for k, share in enumerate(accuracies)
    ]
    (own / "history.jsonl").write_bytes(b"".join(msgspec.json.encode(epoch) + b"\n" for epoch in history))
    labels = np.random.default_rng(seed).normal(size=(4, 4)).astype(np.float32)
    bank = LabelBank("learned", labels, ("xqa", "xqb", "xqc", "xqd"))
    for path in {vectors(method), FEATURES}:
        bank.save(own / path)
    return Record(cell, own)


@pytest.fixture
def records(tmp_path):
    return [
        record(tmp_path, "std", 1, [0.2, 0.4, 0.6, 0.8]),
        record(tmp_path, "std", 2, [0.2, 0.4, 0.6, 0.6]),
        record(tmp_path, "lwal", 1, [0.5, 0.7, 0.8, 0.7], 2.0),
        record(tmp_path, "lwal", 2, [0.5, 0.7, 0.8, 0.7], 2.0),
        record(tmp_path, "lwr3", 1, [0.1, 0.1, 0.2, 0.2]),
        record(tmp_path, "lwr3", 2, [0.1, 0.1, 0.2, 0.8]),
    ]


def test_figures_of_a_comparison(records):
    std, lwal, lwr = summarise(records, None)
    assert std.best.tolist() == [0.8, 0.6]
    assert lwal.auac.tolist() == pytest.approx([67.5, 67.5])
    assert lwal.saved is not None  # the mean of the baseline's bests, 0.7, is tied in epoch 2
    assert (lwal.saved.epoch, lwal.saved.epochs) == (2, 0.5)
    assert lwal.saved.seconds == pytest.approx(0.0)  # half the epochs, each of twice the time
    assert lwal.reached == (3, 2)
    assert lwr.saved is None
    assert lwr.reached == (None, 4)
    halved = summarise(records, None, train_mode=True)
    assert halved[0].best.tolist() == [0.4, 0.3]


def test_the_table(records):
    lines = table(summarise(records, None)).splitlines()
    assert lines[2].startswith("| std | 70.0 ± 10.0 | 47.5 ± 2.5 | reference | reference |")
    assert lines[3].startswith("| lwal | 80.0 ± 0.0 | 67.5 ± 0.0 | 50% | 0% | 3, 2 |")
    assert lines[4].startswith("| lwr3 | 50.0 ± 30.0 | 22.5 ± 7.5 | never reached | – | –, 4 |")


def test_seeds_without_a_baseline_yet_are_left_out(records):
    assert summarise(records[2:], None) == []
    only = summarise([records[0], *records[2:4]], None)
    assert [len(row.records) for row in only] == [1, 1]


def test_tables_in_both_modes_for_each_data_set(records):
    parts = learned_tables(records)
    titles = [part for part in parts if part.startswith("##")]
    assert titles == [
        "## made, resnet8, all data: test images judged in inference mode",
        "## made, resnet8, all data: test images judged in training mode",
    ]


def test_a_method_is_trained_judged_and_leaves_its_vectors(tmp_path):
    grid = {"level": ["5"], "method": ["std", "lwal10+rpl"]}
    plan = read_plan("lwal-speed", "smoke", grid, {"epochs": 2, "batch_size": 32})
    plan = msgspec.structs.replace(plan, test_limit=20)
    for cell in plan.cells():
        assert choose(cell).objective == METHODS[cell.kind] | {"train_mode_eval": True}
        folder = tmp_path / cell.folder
        assert work(cell, folder, "cpu") is None
        done = Record(cell, folder)
        assert len(curve(done)) == 2
        assert all(round(20 * accuracy) == pytest.approx(20 * accuracy) for accuracy in curve(done, True))
        assert (folder / FEATURES).exists()
        labels = LabelBank.load(folder / vectors(cell.kind)).labels
        assert labels.shape == ((10, 100) if cell.method == "lwal10+rpl" else (10, 10))


def test_the_papers_rows_are_there():
    assert METHODS["lwal10+rpl"] == {"name": "lwal", "label_dim": "10C", "repel": 10.0}
    assert [METHODS[f"lwr{k}"]["refresh_every"] for k in (2, 3, 5)] == [2, 3, 5]
