import os

import pytest
from rich.console import Console

from vivavoce.study.cell import LOG
from vivavoce.study.plan import read_plan
from vivavoce.study.running import begin
from vivavoce.study.watching import current
from vivavoce.terminal import Bar


@pytest.fixture
def records(tmp_path):
    return begin(read_plan("adversarial-labels", "smoke"), tmp_path / "study").records


def test_before_the_first_cell_there_is_nothing(records):
    assert current(records) == []


def test_the_log_that_changed_last_counts(records):
    for k, record in enumerate(records[:2]):
        record.folder.mkdir(parents=True)
        log = record.folder / LOG
        log.write_text(f"epoch 1/9: old\nepoch {k + 2}/9: loss 0.5\n\n")
        os.utime(log, (1_000 - k, 1_000 - k))
    first = records[0]
    assert current(records) == [f"{first.cell.name}: epoch 2/9: loss 0.5", f"log: {first.folder / LOG}"]
    (first.folder / LOG).write_bytes(b"")
    assert current(records[:1])[0] == f"{first.cell.name}: started"


def test_lines_below_a_bar_are_cut_at_the_width_and_nothing_in_them_acts():
    console = Console(width=40, record=True, force_terminal=True)
    bar = Bar(console=console)
    bar.below = ["cell \x1b[31m: " + "x" * 100]
    console.print(*bar.get_renderables())
    line = console.export_text().splitlines()[-1]
    assert len(line) <= 40
    assert "\x1b" not in line
