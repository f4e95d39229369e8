import base64
import io

import msgspec
import numpy as np
import pytest
from PIL import Image

from vivavoce.artifacts import open_model
from vivavoce.errors import VivavoceError
from vivavoce.images import Fit, open_images
from vivavoce.serve.examples import MOST, examples


def opened(example):
    head, content = example.image.split(",")
    return head, np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


def test_a_model_of_digits_offers_digits():
    offered = examples(open_model("digits-speech"), None)
    assert [example.name for example in offered] == list("0123456789")
    digits = open_images("digits")
    first = int(np.flatnonzero(digits.labels == 3)[0])
    head, pixels = opened(offered[3])
    assert head == "data:image/png;base64"
    assert np.array_equal(pixels, digits.read(first, Fit(32, 32)))


def test_other_models_offer_nothing_until_a_folder_is_given(tmp_path):
    model = open_model("cifar10-category")
    assert examples(model, None) == []
    for k in range(MOST + 2):
        (tmp_path / f"kind {k}").mkdir()
        Image.new("RGB", (200, 100), (k, 0, 0)).save(tmp_path / f"kind {k}" / "a.png")
    model.manifest = msgspec.structs.replace(
        model.manifest, input=msgspec.structs.replace(model.manifest.input, resize=90)
    )
    offered = examples(model, str(tmp_path))
    assert len(offered) == MOST
    assert opened(offered[0])[0] == "data:image/jpeg;base64"
    assert opened(offered[0])[1].shape == (90, 90, 3)


def test_a_folder_that_is_missing(tmp_path):
    with pytest.raises(VivavoceError, match="nowhere"):
        examples(open_model("cifar10-category"), str(tmp_path / "nowhere"))
