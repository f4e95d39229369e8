"""The comparison of methods: which runs, what is kept, the table."""

from pathlib import Path

import numpy as np
import pytest
import torch

from vivavoce.artifacts import LabelBank
from vivavoce.errors import VivavoceError
from vivavoce.train.epoch import Epoch
from vivavoce.train.learned.study import METHODS, Cell, Comparison
from vivavoce.train.learned.tables import draw, summarise, table, write_runs
from vivavoce.train.setup import Choices


def cell(folder: Path, method: str, seed: int, curve, seconds=1.0) -> Cell:
    history = tuple(
        Epoch(k + 1, 1e-3, 0.5, 0.5, 0.5, seconds, accuracy, accuracy / 2) for k, accuracy in enumerate(curve)
    )
    folder.mkdir(exist_ok=True)
    bank = folder / f"{method}-{seed}.npz"
    labels = np.random.default_rng(seed).normal(size=(4, 4)).astype(np.float32)
    LabelBank("learned", labels, ("xqa", "xqb", "xqc", "xqd")).save(bank)
    return Cell(method, seed, history, bank, bank)


@pytest.fixture
def cells(tmp_path):
    return [
        cell(tmp_path, "std", 1, [0.2, 0.4, 0.6, 0.8]),
        cell(tmp_path, "std", 2, [0.2, 0.4, 0.6, 0.6]),
        cell(tmp_path, "lwal", 1, [0.5, 0.7, 0.8, 0.7], 2.0),
        cell(tmp_path, "lwal", 2, [0.5, 0.7, 0.8, 0.7], 2.0),
        cell(tmp_path, "lwr3", 1, [0.1, 0.1, 0.2, 0.2]),
        cell(tmp_path, "lwr3", 2, [0.1, 0.1, 0.2, 0.8]),
    ]


def test_figures_of_a_comparison(cells):
    std, lwal, lwr = summarise(cells, None)
    assert std.best.tolist() == [0.8, 0.6]
    assert lwal.auac.tolist() == pytest.approx([67.5, 67.5])
    assert lwal.saved is not None  # the mean of the baseline's bests, 0.7, is tied in epoch 2
    assert (lwal.saved.epoch, lwal.saved.epochs) == (2, 0.5)
    assert lwal.saved.seconds == pytest.approx(0.0)  # half the epochs, each of twice the time
    assert lwal.reached == (3, 2)
    assert lwr.saved is None
    assert lwr.reached == (None, 4)
    halved = summarise(cells, None, train_mode=True)
    assert halved[0].best.tolist() == [0.4, 0.3]


def test_the_table_and_its_files(cells, tmp_path):
    rows = summarise(cells, None)
    lines = table(rows).splitlines()
    assert lines[2].startswith("| std | 70.0 ± 10.0 | 47.5 ± 2.5 | reference | reference |")
    assert lines[3].startswith("| lwal | 80.0 ± 0.0 | 67.5 ± 0.0 | 50% | 0% | 3, 2 |")
    assert lines[4].startswith("| lwr3 | 50.0 ± 30.0 | 22.5 ± 7.5 | never reached | – | –, 4 |")
    write_runs(cells, tmp_path / "runs.csv")
    assert len((tmp_path / "runs.csv").read_text().splitlines()) == 1 + 6 * 4
    draw(rows, "test", tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 5000


def test_what_cannot_be_compared_is_refused(tmp_path):
    for methods, complaint in ((["std", "lwl"], "no method 'lwl'"), (["lwal"], "must have std")):
        with pytest.raises(VivavoceError, match=complaint):
            Comparison(Choices("digits"), methods, [1], tmp_path)


def test_runs_that_are_there_are_kept_and_stopped_ones_go_on(tmp_path):
    base = Choices("digits", recipe="adaptive", data_level=5, changes={"epochs": 2, "batch_size": 32})
    study = Comparison(base, ["std", "lwal10+rpl"], [12], tmp_path, test_limit=20)
    cpu = torch.device("cpu")

    def stop_after_one(trainer):
        begun.append(trainer.folder.name)
        assert len(trainer.splits.test) == 20
        trainer.train(lambda *_: None, stop)

    def stop(epoch):
        raise KeyboardInterrupt

    def to_end(trainer):
        begun.append((trainer.folder.name, len(trainer.history)))
        trainer.train(lambda *_: None, lambda _: None)

    begun: list = []
    with pytest.raises(KeyboardInterrupt):
        list(study.train(cpu, stop_after_one))
    cells = list(study.train(cpu, to_end))
    assert begun == ["std-12", ("std-12", 1), ("lwal10+rpl-12", 0)]
    assert [c.method for c in cells] == ["std", "lwal10+rpl"]
    assert all(len(c.curve()) == 2 and c.vectors.exists() and c.features.exists() for c in cells)
    assert LabelBank.load(cells[1].vectors).labels.shape == (10, 100)
    list(study.train(cpu, to_end))
    assert len(begun) == 3


def test_the_papers_rows_are_there():
    assert METHODS["lwal10+rpl"] == {"name": "lwal", "label_dim": "10C", "repel": 10.0}
    assert [METHODS[f"lwr{k}"]["refresh_every"] for k in (2, 3, 5)] == [2, 3, 5]
