"""The labels' pictures are the labels."""

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from vivavoce.artifacts import LabelBank
from vivavoce.errors import VivavoceError
from vivavoce.study.figures import labels as pictures


def test_a_row_a_kind_and_a_column_a_class(labels, style):
    figure = pictures.draw(labels, style)
    assert len(figure.axes) == 30
    assert [axes.get_title() for axes in figure.axes[:10]] == list("0123456789")
    assert [axes.get_ylabel() for axes in figure.axes[::10]] == ["category", "speech", "constant"]


def test_pictures_and_bars_are_the_banks(labels, style):
    figure = pictures.draw(labels, style)
    category, speech, constant = figure.axes[3], figure.axes[13], figure.axes[23]
    heights = [bar.get_height() for bar in category.patches if isinstance(bar, Rectangle)]
    assert heights == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    folder = next(r.folder for r in labels.finished if r.cell.kind == "speech")
    bank = LabelBank.load(folder / "bank.npz")
    np.testing.assert_array_equal(speech.images[0].get_array(), bank.labels[3])
    assert speech.images[0].origin == "lower"  # pitch upwards
    assert speech.images[0].get_clim() == (bank.labels.min(), bank.labels.max())
    assert constant.images[0].get_clim() == (0, 9)
    np.testing.assert_array_equal(constant.images[0].get_array(), np.full((8, 8), 3))


def test_of_many_classes_ten_from_first_to_last():
    assert pictures._chosen(100) == [0, 11, 22, 33, 44, 55, 66, 77, 88, 99]
    assert pictures._chosen(3) == [0, 1, 2]


def test_a_lost_bank_is_not_taken_for_one_hot(labels, style):
    folder = next(r.folder for r in labels.finished if r.cell.kind == "constant" and r.cell.level == 100)
    (folder / "bank.npz").unlink()
    with pytest.raises(VivavoceError, match=r"its bank\.npz is gone; remove the folder"):
        pictures.draw(labels, style)
