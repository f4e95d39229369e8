"""A second set of the same objects: which images a shift loses and gains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ...errors import VivavoceError
from ...images import Fit
from ...images.imageset import to_float
from ..attacks.base import Attack, Ball, Goal
from ..attacks.streams import Streams
from ..target import Target

SHIFTED = "shifted"
"""The kind that compares two sets of images."""


class Shifted(Attack):
    """Every image in the place of its clean one, from the set that `--shifted` names."""

    name = SHIFTED
    needs_gradient = False
    takes_target = False
    stays_in_ball = False
    norms = ()
    everyone = True
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
