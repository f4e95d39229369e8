"""Curves of training and accuracies by amount of data: the lines are the cells' figures."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from vivavoce.study.figures import curves, data, learned


def by_colour(axes, style, names) -> dict:
    """The solid or dashed line of each kind or method in a panel."""
    found = {}
    for name in names:
        look = style.look(name)
        lines = [
            line
            for line in axes.lines
            if to_hex(line.get_color()) == look.colour and line.get_linestyle() == look.dashes
        ]
        found[name] = lines[0]
    return found


def legend_of(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_training_curves(labels, style):
    figure = curves.draw(labels, style)
    assert len(figure.axes) == 4  # loss and accuracy, at 10 and at 100 per cent
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[2:] == ["digits, resnet8: training loss", "validation accuracy"]
    assert "10 % of the data" in titles[0]
    assert sorted(legend_of(figure)) == ["category", "constant", "speech"]
    loss, accuracy = figure.axes[2:]
    assert loss.get_yscale() == "log"
    line = by_colour(accuracy, style, ["speech"])["speech"]
    np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3, 4])
    np.testing.assert_allclose(line.get_ydata(), 0.81 * np.arange(1, 5) / 4)  # mean of 0.80 and 0.82
    bands = [band.get_paths()[0].get_extents() for band in accuracy.collections]
    assert len(bands) == 3
    assert max(band.y1 for band in bands) == pytest.approx(0.82)
    assert "$" not in "".join(text.get_text() for text in loss.get_yticklabels())


def test_one_seed_has_no_band(one_seed, style):
    figure = curves.draw(one_seed, style)
    assert not any(axes.collections for axes in figure.axes)
    assert "digits, resnet8; 1 seed" in figure.texts[0].get_text()


def test_runs_of_different_length_are_averaged_as_far_as_both_go(labels):
    cells = [record for record in labels.finished if record.cell.kind == "speech"][:2]
    del cells[0].history[2:]
    assert curves.history(cells, "validation_accuracy").shape == (2, 2)


def test_accuracy_by_amount_of_data(labels, style):
    figure = data.draw(labels, style)
    (axes,) = figure.axes
    lines = by_colour(axes, style, ["category", "constant"])
    np.testing.assert_array_equal(lines["category"].get_xdata(), [10, 100])
    np.testing.assert_allclose(lines["category"].get_ydata(), [0.45, 0.81])
    np.testing.assert_allclose(lines["constant"].get_ydata(), [0.35, 0.71])
    points = [line for line in axes.lines if line.get_linestyle() == "None"]
    assert sum(np.size(line.get_xdata()) for line in points) == 12  # every run
    assert axes.get_xscale() == "log"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["10 %", "100 %"]
    bands = [band.get_paths()[0].get_extents() for band in axes.collections]
    assert max(band.y1 for band in bands) == pytest.approx(0.82)


@pytest.mark.parametrize(("draw", "share"), [(learned.draw, 1.0), (learned.draw_train_mode, 0.5)])
def test_curves_of_methods(methods, style, draw, share):
    figure = draw(methods, style)
    (axes,) = figure.axes
    lines = by_colour(axes, style, methods.plan.grid.method)
    best = np.mean([0.4 + 0.4 + 0.02 * seed for seed in (12, 123)])  # of the last epoch
    np.testing.assert_allclose(lines["lwal"].get_ydata(), share * best * np.arange(1, 5) / 4)
    assert lines["lwr3-port"].get_linestyle() == "--"
    (dotted,) = [line for line in axes.lines if line.get_linestyle() == ":"]
    np.testing.assert_allclose(dotted.get_ydata(), share * best)
    assert sorted(legend_of(figure)) == sorted(methods.plan.grid.method)
    assert ("training" if share < 1 else "inference") in figure.texts[0].get_text()
