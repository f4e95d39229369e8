"""What a model answers about images, asked from Python."""

from types import SimpleNamespace

import numpy as np
import pytest

from vivavoce.artifacts import open_model
from vivavoce.artifacts.decoding import Outputs
from vivavoce.errors import VivavoceError
from vivavoce.serve.answers import answer_images


def answers_of(scores):
    """The answers of a model that gives these scores [K] for an image."""
    model = open_model("digits-category")
    given = Outputs(np.array([scores], np.float32), None, None)
    stand_in = SimpleNamespace(path=model.path, manifest=model.manifest, answer=lambda images: given)
    return answer_images(stand_in, np.zeros((1, 3, 32, 32), np.float32))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("bad", [[np.nan], [np.inf], [np.inf] * 10, [-np.inf] * 10, [np.nan] * 10])
def test_scores_that_decide_nothing_are_refused(bad):
    with pytest.raises(VivavoceError, match="its highest scores are not finite; no class can be named"):
        answers_of(bad + [0.0] * (10 - len(bad)))


def test_a_class_that_is_ruled_out_leaves_the_others():
    (answer,) = answers_of([-np.inf, 3.0, *[0.0] * 8])
    assert answer.index == 1
