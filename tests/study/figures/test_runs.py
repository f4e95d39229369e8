"""Every run is a point, the mean and deviation a line; broken runs are marked."""

import json

import msgspec
import numpy as np
import pytest

from vivavoce.study.figures import runs
from vivavoce.study.records import open_study


def panel(figure, title):
    """The last panel above a title: the group with all data."""
    return next(axes for axes in figure.axes if axes.get_xlabel() == title)


def points(axes, height, marker) -> list[float]:
    found = [line for line in axes.lines if line.get_marker() == marker and np.size(line.get_xdata())]
    return sorted(x for line in found for x, y in np.asarray(line.get_xydata()) if y == height)


def reaching(records, *levels):
    """The same study with levels of accuracy to reach."""
    plan = msgspec.structs.replace(records.plan, reach=levels)
    (records.folder / "study.json").write_bytes(msgspec.json.encode(plan))
    return open_study(records.folder)


def test_points_are_the_runs_and_lines_their_mean(labels, style):
    figure = runs.draw(reaching(labels, 0.5, 0.99), style)
    under = [f"paper, epsilon {e}, %" for e in ("0", "0.1", "0.2")]
    columns = ["test accuracy, %", *under, "epochs to 50 %"]  # no run reaches 99 %
    assert [axes.get_xlabel() for axes in figure.axes] == [*[""] * 5, *columns]
    test = panel(figure, "test accuracy, %")
    speech = style.look("speech").marker
    assert points(test, 1, speech) == pytest.approx([80, 82])
    assert points(test, 1, "|") == pytest.approx([81])
    (spread,) = [
        np.asarray(line.get_xydata())
        for line in test.lines
        if line.get_marker() == "None" and set(np.asarray(line.get_ydata())) == {1}
    ]
    np.testing.assert_allclose(spread[:, 0], [81 - 2**0.5, 81 + 2**0.5])
    assert points(panel(figure, "paper, epsilon 0.2, %"), 1, speech) == pytest.approx([60, 62])
    assert points(panel(figure, "epochs to 50 %"), 1, speech) == [3, 3]
    assert not figure.legends


def test_a_run_that_did_not_learn_is_marked(labels, style):
    broken = next(
        r for r in labels.finished if (r.cell.kind, r.cell.level, r.cell.seed) == ("speech", 100, 1)
    )
    path = broken.folder / "history.jsonl"
    lines = [json.loads(line) | {"validation_accuracy": 0.1} for line in path.read_text().splitlines()]
    path.write_text("\n".join(map(json.dumps, lines)))
    figure = runs.draw(open_study(labels.folder), style)
    test = panel(figure, "test accuracy, %")
    assert points(test, 1, "x") == pytest.approx([82])
    assert points(test, 1, style.look("speech").marker) == pytest.approx([80])
    assert "not to compare" in figure.legends[0].get_texts()[0].get_text()
