"""A second set of the same objects: which images a shift loses and gains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ...errors import VivavoceError
from ...images import Fit
from ...images.imageset import to_float
from ..attacks.base import Ball, Goal
from ..attacks.streams import Streams
from ..target import Target
from .change import NaturalChange

SHIFTED = "shifted"
"""The kind that compares two sets of images."""


class Shifted(NaturalChange):
    """Every image in the place of its clean one, from the set that `--shifted` names."""

    name = SHIFTED
    severities = (1,)

    def sweep(
        self, target: Target, images: np.ndarray, goal: Goal, balls: Sequence[Ball], streams: Streams
    ) -> Iterator[np.ndarray]:
        """See `Attack.sweep`."""
        data, places = target.under
        if data.shifted is None:
            raise VivavoceError("the kind `shifted` needs a second set of images; give --shifted")
        again = to_float(data.shifted.pixels(places, Fit.of(target.model.manifest.input)))
        for _ in balls:
            yield again
