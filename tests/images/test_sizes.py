"""Sizes of changes to pixels as text."""

import pytest

from vivavoce.errors import VivavoceError
from vivavoce.images.sizes import in_grey_levels, read_size, short_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("8/255", 8 / 255),
        (" 8 / 255 ", 8 / 255),
        ("0.03", 0.03),
        (".5", 0.5),
        ("1e-3", 1e-3),
        ("2.5/255", 2.5 / 255),
    ],
)
def test_numbers_and_fractions_are_read(text, size):
    assert read_size(text, "--epsilon") == size


@pytest.mark.parametrize(
    "text", ["", "x", "8/", "/255", "8/0", "1/2/3", "nan", "inf", "1e999/1e999", "\uff18/255"]
)
def test_anything_else_is_refused(text):
    with pytest.raises(VivavoceError, match="--epsilon must be a number or a fraction"):
        read_size(text, "--epsilon")


@pytest.mark.parametrize(
    ("size", "text"),
    [(8 / 255, "8/255"), (1 / 255, "1/255"), (0.05, "0.05"), (0.0, "0"), (1.0, "1"), (0.03, "0.03")],
)
def test_whole_grey_levels_are_written_as_such(size, text):
    assert short_size(size) == text


def test_channels_of_different_widths_are_a_range():
    assert in_grey_levels([0.06, 0.06, 0.0615]) == "15.3 to 15.7/255"
    assert in_grey_levels([8 / 255]) == "8/255"
