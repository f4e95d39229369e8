"""Robustness curves: the lines are the reports' rows, the bands what they should be."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from scipy.stats import binomtest

from vivavoce.study.figures import robustness

EPSILONS = [0.0, 0.1, 0.2]


def lines(axes, style, kind) -> dict[str, np.ndarray]:
    colour = style.look(kind).colour
    own = [line for line in axes.lines if to_hex(line.get_color()) == colour]
    assert all(list(line.get_xdata()) == EPSILONS for line in own)
    return {line.get_linestyle(): line.get_ydata() for line in own}


def band(axes, style, kind) -> np.ndarray:
    """The corners of a kind's first band."""
    colour = style.look(kind).colour
    own = next(b for b in axes.collections if to_hex(np.asarray(b.get_facecolor())[0]) == colour)
    return np.asarray(own.get_paths()[0].vertices)


def test_columns_are_attacks_and_rows_groups(labels, style):
    figure = robustness.draw(labels, style)
    assert len(figure.axes) == 4
    assert [axes.get_title(loc="left") for axes in figure.axes[:2]] == [
        "FGSM\nuntargeted",
        "margin\nuntargeted",
    ]
    assert figure.axes[2].get_ylabel() == "digits, resnet8\naccuracy"
    assert figure.axes[3].get_xlabel() == "epsilon (normalized)"
    names = {text.get_text() for text in figure.legends[0].get_texts()}
    assert names == {"category", "speech", "constant", "threshold, or arg-max of logits", "nearest neighbour"}
    assert "100 images" in figure.texts[0].get_text()


def test_solid_is_the_threshold_and_dotted_the_nearest(labels, style):
    fgsm, margin = robustness.draw(labels, style).axes[2:]
    speech = lines(fgsm, style, "speech")
    np.testing.assert_allclose(speech[":"], [0.81, 0.71, 0.61])
    np.testing.assert_allclose(speech["-"], [0.405, 0.355, 0.305])
    category = lines(fgsm, style, "category")
    assert list(category) == ["-"]
    np.testing.assert_allclose(category["-"], [0.81, 0.71, 0.61])
    assert not lines(margin, style, "category")  # logits have no threshold to adapt to
    corners = band(fgsm, style, "category")
    assert (corners[:, 1].min(), corners[:, 1].max()) == (pytest.approx(0.60), pytest.approx(0.82))


def test_one_seed_has_wilsons_interval(one_seed, style):
    corners = band(robustness.draw(one_seed, style).axes[0], style, "category")
    for epsilon, share in zip(EPSILONS, (0.8, 0.7, 0.6), strict=True):
        interval = binomtest(round(100 * share), 100).proportion_ci(method="wilson")
        here = corners[np.isclose(corners[:, 0], epsilon), 1]
        assert (here.min(), here.max()) == (pytest.approx(interval.low), pytest.approx(interval.high))


def test_of_images_right_before(one_seed, style):
    figure = robustness.draw_initially_correct(one_seed, style)
    speech = lines(figure.axes[0], style, "speech")
    for line in speech.values():
        np.testing.assert_allclose(line, np.array([0.8, 0.7, 0.6]) / 0.8)
    corners = band(figure.axes[0], style, "category")
    interval = binomtest(60, 80).proportion_ci(method="wilson")  # of the 80 that were right
    here = corners[np.isclose(corners[:, 0], 0.2), 1]
    assert (here.min(), here.max()) == (pytest.approx(interval.low), pytest.approx(interval.high))
    assert "right before the attack" in " ".join(figure.texts[0].get_text().split())
