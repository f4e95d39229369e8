"""Explaining a part of the spoken word."""

import numpy as np
import onnx
import pytest

from vivavoce.artifacts import open_model
from vivavoce.audit.explaining.explainer import Explainer, Wishes
from vivavoce.audit.explaining.patch import Patch, only
from vivavoce.audit.explaining.subject import Subject
from vivavoce.errors import VivavoceError

PARTS = [Patch.read(text) for text in ("0:40", "40:100,0:2000", "40:100,2000:8000")]
"""They cover the spectrogram, each entry once."""


@pytest.fixture(scope="module")
def speech():
    return open_model("digits-speech"), np.random.default_rng(0).random((2, 3, 32, 32), np.float32)


def test_scores_and_distances_of_patches_sum_to_those_of_the_word(speech):
    model, images = speech
    whole, parts = model.answer(images), [only(model, patch).answer(images) for patch in PARTS]
    for name in ("scores", "loss"):
        total = sum(getattr(part, name) for part in parts)
        assert np.allclose(total, getattr(whole, name), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("quantity", "against"), [("score", None), ("distance", None), ("score", 5)])
def test_gradients_of_patches_sum_to_that_of_the_word(speech, quantity, against):
    model, images = speech
    goals = np.array([3, 8])
    whole = Subject(model, quantity, against).gradient(images, goals)[1]
    parts = [Subject(only(model, p), quantity, against).gradient(images, goals)[1] for p in PARTS]
    assert all(np.linalg.norm(part) > 0.01 * np.linalg.norm(whole) for part in parts)
    assert np.linalg.norm(sum(parts) - whole) <= 1e-5 * np.linalg.norm(whole)


def test_only_the_patch_counts(speech):
    """The prediction elsewhere can be anything."""
    model, images = speech
    label = model.manifest.label
    assert label is not None
    patch = Patch.read("20:45,2000:8000")
    mask = patch.mask(label)
    assert mask[-1, 20]
    assert not mask[0].any()  # low frequencies come first
    assert not mask[:, :12].any()
    answers = model.answer(images)
    assert answers.label is not None
    assert model.bank is not None
    far = np.square(answers.label[:, None] - model.bank) * mask
    exact = -far.sum((2, 3)) / mask.size / label.temperature
    assert np.allclose(only(model, patch).answer(images).scores, exact, rtol=1e-4, atol=1e-5)
    assert patch.about(label, 0) == "0.15 to 0.34 s, 2000 to 8000 Hz"  # 66 frames of 256 at 22,050 Hz


@pytest.mark.parametrize("method", ["grad-cam", "occlusion"])
def test_methods_of_every_kind_explain_a_patch(speech, method):
    model, images = speech
    heats = []
    for patch in (None, "0:40", "40:100"):
        explainer = Explainer(model, Wishes((method,), against="5", patch=patch))
        explainer.check(images)
        (chosen,) = explainer.methods
        assert chosen.name == method
        heats.append(explainer.explain(chosen, images[:1], np.array([3])).attribution)
    assert not np.allclose(heats[1], heats[2], atol=1e-3 * np.abs(heats[0]).max())
    if method == "occlusion":  # it is linear in the score
        assert np.allclose(heats[1] + heats[2], heats[0], atol=1e-4 * np.abs(heats[0]).max())


def test_values_that_have_the_names_of_the_patch(speech, tmp_path):
    model, images = speech
    graph = onnx.load(model.path)
    for node in graph.graph.node:
        for names in (node.input, node.output):
            names[:] = ["patch.whole" if name == "leaky_relu" else name for name in names]
    onnx.save(graph, tmp_path / "m.onnx")
    other = only(open_model(tmp_path / "m.onnx"), PARTS[0]).answer(images).scores
    assert np.allclose(other, only(model, PARTS[0]).answer(images).scores)


@pytest.mark.parametrize(
    "text", ["", "20", "20:10", "a:b", "0:50:60", "0:101", "-5:10", "0:nan", "0:50,8000:10", "0:50,1:2,3:4"]
)
def test_a_patch_that_cannot_be_read(text):
    with pytest.raises(VivavoceError, match=r"^--patch must be [^\n]*$"):
        Patch.read(text)


def test_models_and_places_without_a_patch(speech):
    with pytest.raises(VivavoceError, match="predicts no spectrogram"):
        Explainer(open_model("digits-category"), Wishes(patch="0:50"))
    with pytest.raises(VivavoceError, match="64 bands, 46 to 7626 Hz"):
        Explainer(speech[0], Wishes(patch="0:50,7900:8000"))
