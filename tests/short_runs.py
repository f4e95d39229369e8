"""The first digits of the data set that ships, for runs of a few seconds."""

import numpy as np

from vivavoce.train.data import Part, Splits, open_splits


def pixels(part: Part) -> np.ndarray:
    """The images of a part that is in memory: uint8 [N, 3, H, W]."""
    assert isinstance(part.images, np.ndarray)
    return part.images


def few_digits(train: int, held: int) -> Splits:
    """So many training images, and `held` images each for validation and test."""
    whole = open_splits("digits", 0)
    first, second, third = (
        Part(part.images[:count], part.classes[:count])
        for part, count in ((whole.train, train), (whole.validation, held), (whole.test, held))
    )
    return Splits("digits", "digits", whole.classes, first, second, third, whole.mean, whole.std, False)
