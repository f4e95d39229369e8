"""Colours that differ to every eye, and the same ones everywhere."""

from itertools import combinations

import numpy as np
import pytest

from vivavoce.study.figures.panels import headline, legend
from vivavoce.study.figures.style import LOOKS, Style
from vivavoce.study.methods import METHODS
from vivavoce.train.labels.kinds import KINDS

EYES = {
    "all cones": np.eye(3),
    "no red": [
        [0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998],
    ],
    "no green": [
        [0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881],
    ],
    "no blue": [
        [1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039],
    ],
}  # fmt: skip
"""What is seen of linear RGB (Machado, Oliveira and Fernandes 2009, severity 1)."""
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(colour: str) -> np.ndarray:
    value = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    x = XYZ @ np.clip(rgb, 0, 1) / [0.9505, 1, 1.089]
    f = np.where(x > 0.008856, np.cbrt(x), 7.787 * x + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(one: str, other: str) -> float:
    dark, light = sorted(float(XYZ[1] @ linear(c)) + 0.05 for c in (one, other))
    return light / dark


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(
    "named", [KINDS, [m for m in METHODS if not m.endswith("-port")]], ids=["kinds", "methods"]
)
def test_no_two_that_are_compared_look_alike(named, dark):
    style = Style(dark)
    for eye in EYES.values():
        seen = {name: lab(np.array(eye) @ linear(style.look(name).colour)) for name in named}
        for one, other in combinations(named, 2):
            assert np.linalg.norm(seen[one] - seen[other]) > 12, (one, other)
    assert len({style.look(name).marker for name in named}) == len([*named])
    assert min(contrast(style.look(name).colour, style.paper) for name in named) > 2.2
    assert min(contrast(colour, style.paper) for colour in (style.ink, style.muted)) > 4.5


def test_every_kind_and_method_has_a_look_and_ports_are_dashed():
    assert set(LOOKS) == {*KINDS, *(m for m in METHODS if not m.endswith("-port"))}
    style = Style()
    assert style.look("lwr3-port").colour == style.look("lwr3").colour
    assert (style.look("lwr3-port").dashes, style.look("lwr3").dashes) == ("--", "-")


def test_ten_classes_differ():
    for dark in (False, True):
        looks = Style(dark).several(10)
        assert len({look.colour for look in looks}) == len({look.marker for look in looks}) == 10


def test_headings_leave_empty_notes_out_and_break_long_lines(style):
    from matplotlib.figure import Figure

    figure = Figure((4, 3))
    headline(figure, "Title", ["one", "", "two", "long " * 30], style)
    note, title = (text.get_text() for text in figure.texts)
    assert title == "Title"
    assert note.startswith("one; two; long")
    assert max(map(len, note.splitlines())) <= 54


def test_a_legend_is_read_in_rows(style):
    from matplotlib.figure import Figure

    figure = Figure((4, 3))
    legend(figure, [(f"a name of {k}", style.look("speech")) for k in range(5)])
    figure.draw_without_rendering()
    (found,) = figure.legends
    heights = {text.get_text()[-1]: round(text.get_window_extent().y0) for text in found.get_texts()}
    assert heights["0"] == heights["1"] > heights["2"] == heights["3"] > heights["4"]
