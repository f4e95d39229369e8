"""`vivavoce.explain`."""

import numpy as np
import pytest

import vivavoce as vv


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((2, 3, 32, 32), np.float32)


def test_it_is_the_gradient(images):
    found = vv.explain("digits-category", images, "saliency", classes=np.array([3, 5]))
    _, slopes, _ = vv.open_gradient("digits-category", "score")(images, np.array([3, 5]))
    assert np.allclose(found.attribution, slopes, rtol=1e-4, atol=1e-5)
    assert np.allclose(found.heat, np.abs(slopes).max(1), rtol=1e-4, atol=1e-5)
    assert (found.method, found.layer, found.gap, found.notes) == ("saliency", None, None, ())


def test_it_finds_what_is_not_given(images):
    model = vv.open_model("digits-speech")
    found = vv.explain(model, images)
    assert found.method == "grad-cam"
    assert found.layer == "relu_6"
    assert found.heat.shape == (2, 32, 32)
    assert found.classes.tolist() == vv.decide(model.answer(images).scores).tolist()
    rival = 3 if 3 not in found.classes else 4
    part = vv.explain(model, images, against=rival, patch="0:50")
    assert not np.allclose(part.heat, found.heat)


BAD = {
    "shape": ({"images": np.zeros((2, 3, 9, 9))}, r"takes images \[N, 3, 32, 32\], not \[2, 3, 9, 9\]"),
    "none": ({"images": np.zeros((0, 3, 32, 32))}, "takes images"),
    "number of classes": ({"classes": np.array([1])}, "as many classes"),
    "kind of classes": ({"classes": np.array([1.5, 2])}, "whole numbers"),
    "class": ({"classes": np.array([1, 10])}, "0 to 9"),
    "rival": ({"classes": np.array([1, 2]), "against": 2}, "a different one"),
    "method": ({"method": "gradcam"}, "did you mean grad-cam"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_line(images, case):
    given, message = BAD[case]
    with pytest.raises(vv.VivavoceError, match=message) as caught:
        vv.explain(**{"model": "digits-category", "images": images, **given})
    assert "\n" not in str(caught.value)
