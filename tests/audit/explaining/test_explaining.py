"""What the explanations find, what they fall back to, and how they are measured."""

from dataclasses import replace

import networks
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.helper import make_node as node

from vivavoce.artifacts import decide, open_model
from vivavoce.audit.explaining.colours import colour
from vivavoce.audit.explaining.evaluation import evaluate
from vivavoce.audit.explaining.explainer import Explainer, Wishes, class_number
from vivavoce.audit.explaining.faithfulness import area, curves
from vivavoce.audit.explaining.layers import default_layer, spatial_values
from vivavoce.audit.explaining.methods import METHODS
from vivavoce.audit.explaining.pixelwise import integrated_gradients
from vivavoce.audit.explaining.sanity import rank_correlation
from vivavoce.audit.explaining.subject import Quantity, Subject
from vivavoce.errors import VivavoceError
from vivavoce.gradient import open_gradient
from vivavoce.gradient.rules import RULES
from vivavoce.images import Fit
from vivavoce.images.imageset import to_float
from vivavoce.images.sources import digits_test

SEEN = (slice(4, 10), slice(8, 14))
"""The only places that the planted model looks at."""


def save(path, nodes, constants, shape=("N", 3, 16, 16), classes=2):
    graph = helper.make_graph(
        nodes, "planted",
        [helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, ["N", classes])],
        [numpy_helper.from_array(np.asarray(a), k) for k, a in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.save(model, path)
    return open_model(path)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Class 1 is the brightness of a patch, twice the green."""
    weights = np.zeros((2, 3, 16, 16), np.float32)
    weights[1, :, *SEEN] = np.array([1, 2, 1], np.float32)[:, None, None]
    nodes = [node("Flatten", ["image"], ["flat"]), node("Gemm", ["flat", "w"], ["scores"], transB=1)]
    path = tmp_path_factory.mktemp("planted") / "planted.onnx"
    return save(path, nodes, {"w": weights.reshape(2, -1)}), weights[1]


@pytest.fixture(scope="module")
def digits():
    """A model, six images, its decisions."""
    model = open_model("digits-category")
    images = to_float(digits_test().pixels(np.arange(0, 360, 60), Fit.of(model.manifest.input)))
    return model, images, decide(model.answer(images).scores)


@pytest.mark.parametrize("name", [m.name for m in METHODS.values() if m.needs != "layer"])
def test_the_planted_patch_is_found(planted, name):
    model, weights = planted
    images = np.random.default_rng(0).random((2, 3, 16, 16), np.float32) * 0.5 + 0.5
    method = METHODS[name]
    found = Explainer(model, Wishes((name,))).explain(method, images, np.array([1, 1]))
    if name in ("saliency", "smoothgrad"):
        assert np.allclose(found.attribution, weights, atol=1e-5)
    if name in ("gradient-x-input", "integrated-gradients"):
        assert np.allclose(found.attribution, images * weights, atol=1e-5)
    inside = np.zeros((16, 16), bool)
    inside[SEEN] = True
    heat = np.abs(method.heat(found.attribution))  # a patch of the mean colour brightens dark pixels
    assert heat[:, inside].mean() > 3 * heat[:, ~inside].mean()


@pytest.mark.parametrize(
    ("quantity", "against"), [("score", None), ("probability", None), ("distance", None), ("score", 3)]
)
def test_every_quantity_is_what_its_gradient_follows(digits, quantity: Quantity, against):
    _, images, goals = digits
    subject = Subject(open_model("digits-speech"), quantity, against)
    value, gradient = subject.gradient(images[:2], goals[:2])
    assert np.allclose(value, subject.values(images[:2], goals[:2]), rtol=1e-3, atol=1e-4)
    step = 1e-3 * gradient / np.linalg.norm(gradient.reshape(2, -1), axis=1)[:, None, None, None]
    assert (subject.values(images[:2] + step, goals[:2]) > value).all()


def test_a_prediction_that_meets_its_label_is_explained(digits):
    """The score of the nearest label is flat there: minus a squared distance of zero."""
    model = open_model("digits-speech")
    _, images, _ = digits
    scores = model.answer(images).scores
    goals = decide(scores)
    explainer = Explainer(model, Wishes(("grad-cam",)))
    heat = explainer.explain(explainer.methods[0], images, goals).attribution
    assert heat.any((1, 2, 3)).all()
    value, slopes = explainer.subject.gradient(images, goals)
    assert np.allclose(value, scores.max(1) - scores.mean(1), rtol=1e-4, atol=1e-4)
    flat = open_gradient(model, "score")(images, goals)[1]
    sizes, others = (np.linalg.norm(s.reshape(len(images), -1), axis=1) for s in (slopes, flat))
    surest = scores.max(1).argmax()
    assert sizes[surest] > 5 * others[surest], sizes / others


def check_completeness(name, images):
    model = open_model(name)
    goals = decide(model.answer(images).scores)
    explainer = Explainer(model, Wishes(("integrated-gradients",)))
    found = explainer.explain(explainer.methods[0], images, goals)
    assert found.gap is not None
    assert found.gap.max() < 0.01
    values = explainer.subject.values
    rise = values(images, goals) - values(np.zeros_like(images), goals)
    assert np.allclose(found.attribution.sum((1, 2, 3)), rise, rtol=0.01)


@pytest.mark.parametrize("name", ["digits-category", "digits-speech"])
def test_integrated_gradients_are_complete(digits, name):
    check_completeness(name, digits[1][1:2])


@pytest.mark.full
@pytest.mark.parametrize("name", ["digits-category", "digits-speech"])
def test_integrated_gradients_of_more_images_are_complete(digits, name):
    check_completeness(name, digits[1])


def test_an_explanation_depends_on_no_other_image(digits):
    model, images, goals = digits
    for name in ("grad-cam", "smoothgrad"):
        explainer = Explainer(model, Wishes((name,)))
        both = explainer.explain(explainer.methods[0], images[:2], goals[:2]).attribution
        alone = explainer.explain(explainer.methods[0], images[1:2], goals[1:2]).attribution
        assert np.allclose(both[1:], alone, rtol=1e-3, atol=1e-4 * np.abs(alone).max()), name


def test_a_decoder_is_no_layer_of_the_image():
    values = spatial_values(open_model("digits-speech"))
    assert default_layer(values) == "relu_6"
    assert not any(value.operator == "ConvTranspose" for value in values)


def test_a_transformer_and_channels_last_have_no_wrong_layers(tmp_path):
    onnx.save(networks.to_onnx(networks.network("vit")), tmp_path / "vit.onnx")
    values = spatial_values(open_model(tmp_path / "vit.onnx"))
    assert {v.operator for v in values} <= {"Conv"}
    moved = [
        node("Conv", ["image", "w"], ["a"]),
        node("Transpose", ["a"], ["b"], perm=[0, 2, 3, 1]),
        node("Relu", ["b"], ["c"]),
        node("GlobalAveragePool", ["c"], ["d"]),
        node("Flatten", ["d"], ["e"]),
        node("Gemm", ["e", "g"], ["scores"]),
    ]
    constants = {"w": np.ones((4, 3, 1, 1), np.float32), "g": np.ones((16, 2), np.float32)}
    assert [v.name for v in spatial_values(save(tmp_path / "m.onnx", moved, constants))] == ["a"]


def test_without_a_gradient_occlusion_takes_over_and_says_so(tmp_path):
    nodes = [
        node("Conv", ["image", "w"], ["a"]),
        node("Sign", ["a"], ["b"]),
        node("GlobalAveragePool", ["b"], ["c"]),
        node("Flatten", ["c"], ["scores"]),
    ]
    model = save(tmp_path / "sign.onnx", nodes, {"w": np.ones((2, 3, 1, 1), np.float32)})
    notes = []
    explainer = Explainer(model, Wishes(("saliency", "rise", "grad-cam"), layer="a"), notes.append)
    explainer.check(np.zeros((1, 3, 16, 16), np.float32))
    assert [m.name for m in explainer.methods] == ["occlusion", "rise"]
    assert all("occlusion instead of" in note and "Sign" in note for note in notes)
    assert "audit" not in " ".join(notes)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["saliency", "integrated-gradients", "occlusion", "rise"])
def test_scores_that_are_not_finite_give_an_empty_map(tmp_path, name, value):
    nodes = [node("GlobalAveragePool", ["image"], ["a"]), node("Flatten", ["a"], ["b"]),
             node("Add", ["b", "c"], ["scores"])]  # fmt: skip
    model = save(tmp_path / "m.onnx", nodes, {"c": np.full(3, value, np.float32)}, classes=3)
    explainer = Explainer(model, Wishes((name,)))
    found = explainer.explain(METHODS[name], np.full((1, 3, 16, 16), 0.5, np.float32), np.array([1]))
    assert np.isfinite(found.attribution).all()
    assert np.isfinite(colour(METHODS[name].heat(found.attribution), METHODS[name].signed)).all()


def test_without_a_convolution_the_default_needs_no_layer(planted):
    assert [m.name for m in Explainer(planted[0], Wishes()).methods] == ["integrated-gradients"]


BAD = {
    "class": (lambda m: class_number(m, "sevn"), "no class 'sevn'"),
    "class number": (lambda m: class_number(m, "10"), "no class '10'"),
    "method": (lambda m: Explainer(m, Wishes(("gradcam",))), "did you mean grad-cam?"),
    "guided": (lambda m: Explainer(m, Wishes(("guided-backprop",))), "weights are random"),
    "layer": (lambda m: Explainer(m, Wishes(layer="relu_66")), "did you mean relu_6"),
    "vector": (lambda m: Explainer(m, Wishes(layer="view")), "no places of the image"),
    "useless layer": (lambda m: Explainer(m, Wishes(("rise",), layer="relu_6")), "--layer is for"),
    "distance": (lambda m: Subject(m, "distance"), "predicts no labels"),
    "two comparisons": (lambda m: Subject(m, "probability", 3), "--against"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_is_not_there_gets_one_line(digits, case):
    ask, message = BAD[case]
    with pytest.raises(VivavoceError, match=r"^[^\n]*$") as caught:
        ask(digits[0])
    assert message in str(caught.value)


def test_gradient_methods_change_with_the_weights_and_guided_backpropagation_does_not(digits, monkeypatch):
    """The check of Adebayo et al. (2018): guided backpropagation shows edges, whatever the weights."""
    model, images, goals = digits

    def sanity():
        explainer = Explainer(model, Wishes(("saliency", "grad-cam")))
        found = evaluate(explainer, images, goals)
        assert found.stages[-1][0] == found.stages[-1][1] > 4
        return found

    honest = sanity()
    key = ("", "Relu")
    relu = RULES[key]
    monkeypatch.setitem(RULES, key, replace(relu, function=lambda n, dy: relu.function(n, dy.map("Relu"))))
    guided = sanity().rows[0].correlations
    # The last layers, which decide between classes:
    assert guided[1] > honest.rows[0].correlations[1] + 0.2
    assert guided[1] > 0.6


def test_good_explanations_beat_a_random_order(digits):
    model, images, goals = digits
    attribution = integrated_gradients(Subject(model), images[:3], goals[:3]).attribution
    found = curves(model, images[:3], attribution.sum(1), goals[:3])
    random = curves(model, images[:3], np.random.default_rng(0).random((3, 32, 32)), goals[:3])
    assert area(found.deletion).mean() < area(random.deletion).mean() - 0.05
    assert area(found.insertion).mean() > area(random.insertion).mean()
    assert np.allclose(found.deletion[:, 0], found.insertion[:, -1]), "both are the image"
    assert np.allclose(area(np.linspace(0, 1, 21)[None]), 0.5)


def test_rank_correlation_is_spearmans():
    from scipy.stats import rankdata

    one, other = np.random.default_rng(0).integers(0, 9, (2, 3, 4, 5)).astype(float)
    exact = [np.corrcoef(rankdata(a), rankdata(b))[0, 1] for a, b in zip(one, other, strict=True)]
    assert np.allclose(rank_correlation(one, other), exact)
    assert np.isnan(rank_correlation(one, np.zeros_like(other))).all()
