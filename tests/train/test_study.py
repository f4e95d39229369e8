import csv

import pytest
from PIL import Image
from typer.testing import CliRunner

from vivavoce.cli import app
from vivavoce.errors import VivavoceError
from vivavoce.train.study import Outcome, numbers, table


def test_a_study_compares_and_goes_on_where_it_stopped(tmp_path):
    chosen = ["--labels", "category,constant", "--levels", "8,2", "--seeds", "0,1", "--set", "epochs=2"]
    arguments = ["study", "--dataset", "digits", "--encoder", "resnet8", *chosen, "--out", str(tmp_path)]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert done.output.count("digits: 28 training") == 4
    assert "| category |" in done.output
    rows = list(csv.DictReader((tmp_path / "runs.csv").read_text().splitlines()))
    assert [(r["label"], r["level"], r["seed"]) for r in rows] == [
        (label, level, seed) for level in "28" for seed in "01" for label in ("category", "constant")
    ]
    with Image.open(tmp_path / "accuracy.png") as picture:
        assert picture.width > 500
    again = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert "epoch" not in again.output
    assert again.output.splitlines()[0].startswith("| label | 8 % of the data | 2 %")


def test_the_table_gives_mean_spread_and_count():
    outcomes = [Outcome("speech", level, seed, 0, test, 1)
                for level, seed, test in ((1, 0, 0.30), (1, 1, 0.32), (1, 2, 0.34), (4, 0, 0.5))]  # fmt: skip
    assert table(outcomes).splitlines()[2] == "| speech | 50.0 (n = 1) | 32.0 ± 2.0 (n = 3) |"


def test_lists_of_anything_else_are_refused():
    with pytest.raises(VivavoceError, match="--levels"):
        numbers("4,one", "--levels")
    done = CliRunner().invoke(app, ["study", "--dataset", "digits", "--out", "x", "--labels", "loud"])
    assert isinstance(done.exception, VivavoceError)
