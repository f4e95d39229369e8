"""Every kind of head: the scores, the decisions on digits, the gradient, and what people read."""

import dressed
import numpy as np
import pytest
from dressed import ROWS, F, K, node
from onnx import TensorProto

from vivavoce.artifacts import Preprocessing, decide, open_model
from vivavoce.artifacts.onnx_model import OnnxModel
from vivavoce.errors import VivavoceError
from vivavoce.gradient import InputGradient

SIDES = ("sides", np.array([2, 3]))
ONE, ZERO = ("one", np.array([1])), ("zero", np.array([0]))
EPS = ("eps", np.array(1e-7, np.float32))
TOP = ("top", np.array(1 - 1e-7, np.float32))
FLAT = ("rows", np.array([0, -1]))
SOFT = node("Softmax", ["scores"], ["s"], axis=1)


def softened(*after):
    return [SOFT, *after]


HEADS = {
    # name: nodes behind `scores`, the output's shape, constants, kind
    "rank 4": ([node("Unsqueeze", ["scores", "sides"], ["y"])], ("N", K, 1, 1), [SIDES], "scores"),
    "one between": ([node("Unsqueeze", ["scores", "one"], ["y"])], ("N", 1, K), [ONE], "scores"),
    "one in front": ([node("Unsqueeze", ["scores", "zero"], ["y"])], (1, "N", K), [ZERO], "scores"),
    "open": ([node("Identity", ["scores"], ["y"])], ("N", "K"), [], "scores"),
    "open, minus one": ([node("Identity", ["scores"], ["y"])], (-1, -1), [], "scores"),
    "open, rank 4": (
        [node("Unsqueeze", ["scores", "sides"], ["y"])], ("N", "K", "H", "W"), [SIDES], "scores"),
    "no shape": ([node("Identity", ["scores"], ["y"])], None, [], "scores"),
    "double": ([node("Cast", ["scores"], ["y"], to=11)], ROWS, [], "scores"),
    "softmax": (softened(node("Identity", ["s"], ["y"])), ROWS, [], "softmax"),
    "softmax, open": (softened(node("Identity", ["s"], ["y"])), ("N", "K"), [], "softmax"),
    "softmax, flattened": (
        [node("Unsqueeze", ["scores", "sides"], ["u"]), node("Softmax", ["u"], ["s"], axis=1),
         node("Flatten", ["s"], ["y"])], ROWS, [SIDES], "softmax"),
    "softmax, rank 4": (
        [node("Unsqueeze", ["scores", "sides"], ["u"]), node("Softmax", ["u"], ["y"], axis=1)],
        ("N", K, 1, 1), [SIDES], "softmax"),
    "softmax, reshaped, open": (
        [node("Unsqueeze", ["scores", "sides"], ["u"]), node("Softmax", ["u"], ["s"], axis=1),
         node("Reshape", ["s", "rows"], ["y"])], ("A", "B"), [SIDES, FLAT], "softmax"),
    "softmax, squeezed": (
        [node("Unsqueeze", ["scores", "one"], ["u"]), node("Softmax", ["u"], ["s"], axis=-1),
         node("Squeeze", ["s", "one"], ["y"])], ROWS, [ONE], "softmax"),
    "softmax, double": (softened(node("Cast", ["s"], ["y"], to=11)), ROWS, [], "softmax"),
    "softmax, clipped": (softened(node("Clip", ["s", "eps", "top"], ["y"])), ROWS, [EPS, TOP], "softmax"),
    "softmax, percent": (
        softened(node("Mul", ["s", "hundred"], ["y"])), ROWS, [("hundred", np.array([100], np.float32))],
        "softmax"),
    "softmax, logarithm": (softened(node("Log", ["s"], ["y"])), ROWS, [], "log-softmax"),
    "softmax, clipped, logarithm": (
        softened(node("Clip", ["s", "eps", "top"], ["c"]), node("Log", ["c"], ["y"])), ROWS, [EPS, TOP],
        "log-softmax"),
    "softmax, epsilon, logarithm": (
        softened(node("Add", ["eps", "s"], ["c"]), node("Log", ["c"], ["y"])), ROWS, [EPS], "log-softmax"),
    "log-softmax": ([node("LogSoftmax", ["scores"], ["y"], axis=-1)], ROWS, [], "log-softmax"),
    "sigmoids": ([node("Sigmoid", ["scores"], ["y"])], ROWS, [], "sigmoids"),
    "sigmoids, rank 4": (
        [node("Unsqueeze", ["scores", "sides"], ["u"]), node("Sigmoid", ["u"], ["y"])],
        ("N", K, 1, 1), [SIDES], "sigmoids"),
    "softmax written out": (
        [node("ReduceMax", ["scores", "one"], ["m"], keepdims=1), node("Sub", ["scores", "m"], ["d"]),
         node("Exp", ["d"], ["e"]), node("ReduceSum", ["e", "one"], ["t"], keepdims=1),
         node("Div", ["e", "t"], ["y"])], ROWS, [ONE], "softmax"),
    "softmax as the exponential of a log-softmax": (
        [node("ReduceLogSumExp", ["scores", "one"], ["t"], keepdims=1), node("Sub", ["scores", "t"], ["d"]),
         node("Exp", ["d"], ["e"]), node("Cast", ["e"], ["y"], to=11)], ROWS, [ONE], "softmax"),
    "softmax, rounded": (
        softened(node("QuantizeLinear", ["s", "step", "none"], ["q"]),
                 node("DequantizeLinear", ["q", "step", "none"], ["y"])),
        ROWS, [("step", np.array(1 / 256, np.float32)), ("none", np.array(0, np.uint8))], "softmax"),
    "softmax by a power": (
        [node("ReduceMax", ["scores", "one"], ["m"], keepdims=1), node("Sub", ["scores", "m"], ["d"]),
         node("Pow", ["base", "d"], ["e"]), node("ReduceSum", ["e", "one"], ["t"], keepdims=1),
         node("Div", ["e", "t"], ["y"])], ROWS, [ONE, ("base", np.array(np.e, np.float32))], "probabilities"),
}  # fmt: skip


def dress(path, name):
    tail, shape, constants, _ = HEADS[name]
    kind = TensorProto.DOUBLE if tail[-1].op_type == "Cast" else F
    return dressed.save(path, tail, {"y": (kind, shape)}, dict(constants))


def check(model, expected, slope, labels, rounded=False):
    """Scores but for a constant, decisions, and the gradient of cross-entropy, against float64.

    Where the file gives 1 - p, what is near 1 is rounded; then the probabilities are compared.
    """
    images, classes = dressed.digits()
    scores = model.answer(images).scores
    found, exact = dressed.log_softmax(scores.astype(np.float64)), dressed.log_softmax(expected)
    if rounded:
        found, exact = np.exp(found), np.exp(exact)
    np.testing.assert_allclose(found, exact, atol=1e-5 if rounded else 1e-4)
    assert (decide(scores) == expected.argmax(1)).all()
    some = slice(0, 8)
    assert isinstance(model, OnnxModel)
    found = InputGradient(model.graph, "cross-entropy")(images[some], labels[some])[1]
    share = np.exp(dressed.log_softmax(expected[some])) - np.eye(expected.shape[1])[labels[some]]
    exact = np.einsum("nk,kchw->nchw", share, slope)
    assert np.linalg.norm(found - exact) <= 1e-5 * np.linalg.norm(exact)
    return float((decide(scores) == classes).mean())


@pytest.mark.parametrize("name", HEADS)
def test_a_head_of_scores_for_every_class(name, tmp_path):
    model = open_model(dress(tmp_path / "m.onnx", name))
    images, labels = dressed.digits()
    rival = (labels + 1) % K
    accuracy = check(model, dressed.logits(images), dressed.weights(), rival)
    assert accuracy == (dressed.logits(images).argmax(1) == labels).mean() > 0.8
    assert model.understood
    assert model.understood.head.kind == HEADS[name][3]


LOGIT = ("v", np.array([[1.0]] * 5 + [[-1.0]] * 5, np.float32))
FIRST = node("MatMul", ["scores", "v"], ["l"])
SINGLE = {
    "logit": ([node("Identity", ["l"], ["y"])], ("N", 1), [], "one logit", 1),
    "logit, open": ([node("Identity", ["l"], ["y"])], ("N", "K"), [], "one logit", 1),
    "logit, squeezed": ([node("Squeeze", ["l", "one"], ["y"])], ("N",), [ONE], "one logit", 1),
    "logit, rank 4": ([node("Unsqueeze", ["l", "sides"], ["y"])], ("N", 1, 1, 1), [SIDES], "one logit", 1),
    "sigmoid": ([node("Sigmoid", ["l"], ["y"])], ("N", 1), [], "one sigmoid", 1),
    "sigmoid, squeezed": (
        [node("Sigmoid", ["l"], ["s"]), node("Squeeze", ["s", "one"], ["y"])], ("N",), [ONE],
        "one sigmoid", 1),
    "sigmoid, flattened, clipped": (
        [node("Sigmoid", ["l"], ["s"]), node("Clip", ["s", "eps", "top"], ["c"]),
         node("Reshape", ["c", "rows"], ["y"])], ("A", "B"), [EPS, TOP, FLAT], "one sigmoid", 1),
    "probability": (
        [node("Sigmoid", ["l"], ["s"]), node("Sub", ["unit", "s"], ["y"])], ("N", 1),
        [("unit", np.array(1, np.float32))], "one probability", -1),
}  # fmt: skip


@pytest.mark.parametrize("name", SINGLE)
def test_a_head_of_one_score_is_two_classes(name, tmp_path):
    tail, shape, constants, kind, sign = SINGLE[name]
    path = dressed.save(tmp_path / "m.onnx", [FIRST, *tail], {"y": (F, shape)}, dict([LOGIT, *constants]))
    (tmp_path / "names.txt").write_text("no\nyes\n")
    model = open_model(path, Preprocessing(classes=str(tmp_path / "names.txt")))
    assert model.understood
    assert model.understood.head.kind == kind
    assert model.manifest.classes == ("no", "yes")
    images, labels = dressed.digits()
    direction = LOGIT[1][:, 0].astype(np.float64) * sign
    logit = dressed.logits(images) @ direction
    slope = np.einsum("kchw,k->chw", dressed.weights(), direction)
    halves = np.array([-0.5, 0.5])
    expected, slopes = logit[:, None] * halves, halves[:, None, None, None] * slope
    check(model, expected, slopes, labels % 2, rounded=kind == "one probability")
    if kind != "one probability":
        np.testing.assert_allclose(model.answer(images).scores, expected, atol=1e-4 * np.abs(logit).max())


def test_a_temperature_before_the_softmax_stays(tmp_path):
    tail = [node("Div", ["scores", "t"], ["d"]), node("Softmax", ["d"], ["y"], axis=1)]
    path = dressed.save(tmp_path / "m.onnx", tail, {"y": (F, ROWS)}, {"t": np.array(2.5, np.float32)})
    images, labels = dressed.digits()
    check(open_model(path), dressed.logits(images) / 2.5, dressed.weights() / 2.5, labels)


DECIDES = {
    "clipped below": ([SOFT, node("Clip", ["s", "half"], ["y"])], [("half", np.array(0.5, np.float32))]),
    "clipped above": ([SOFT, node("Clip", ["s", "", "half"], ["y"])], [("half", np.array(0.5, np.float32))]),
    "turned round": ([SOFT, node("Mul", ["s", "minus"], ["y"])], [("minus", np.array(-1, np.float32))]),
    "weighted": ([SOFT, node("Mul", ["s", "w"], ["y"])], [("w", np.arange(1, K + 1, dtype=np.float32))]),
    "a relu on logarithms": (
        [node("LogSoftmax", ["scores"], ["s"], axis=1), node("Max", ["s", "nought"], ["y"])],
        [("nought", np.array(0, np.float32))],
    ),
    "over the batch": ([node("Softmax", ["scores"], ["y"], axis=0)], []),
}


@pytest.mark.parametrize("name", DECIDES)
def test_what_changes_decisions_is_not_bypassed(name, tmp_path):
    tail, constants = DECIDES[name]
    model = open_model(dressed.save(tmp_path / "m.onnx", tail, {"y": (F, ROWS)}, dict(constants)))
    assert model.understood
    assert model.understood.head.kind == "scores"


LABEL = node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0)
PROBABILITIES = node("Softmax", ["scores"], ["p"], axis=1)
AUX = node("Neg", ["scores"], ["aux"])
OUTPUTS = {
    "label": (TensorProto.INT64, ("N",)), "scores": (F, ROWS), "p": (F, ROWS), "aux": (F, ROWS),
    "flat": (F, ("N", 192)), "input": (F, ("N", 3, 32, 32)),
}  # fmt: skip


def several(path, *names):
    return dressed.save(path, [LABEL, PROBABILITIES, AUX], {name: OUTPUTS[name] for name in names})


@pytest.mark.parametrize(
    "names", [("label", "scores"), ("scores", "input"), ("p", "label"), ("label", "p", "scores")]
)
def test_the_only_output_that_can_be_scores_is_taken(names, tmp_path):
    model = open_model(several(tmp_path / "m.onnx", *names))
    images, labels = dressed.digits()
    check(model, dressed.logits(images), dressed.weights(), labels)


def test_an_output_is_chosen_by_name_or_number(tmp_path):
    path = several(tmp_path / "m.onnx", "aux", "p")
    with pytest.raises(VivavoceError, match=r"2 outputs \(aux, p\).*such as --output-name p$"):
        open_model(path)
    images, _ = dressed.digits()
    expected = dressed.logits(images[:5])
    for chosen, sign in (("p", 1), ("1", 1), ("aux", -1), ("0", -1)):
        scores = open_model(path, Preprocessing(output_name=chosen)).answer(images[:5]).scores
        np.testing.assert_allclose(scores, sign * expected, atol=1e-3)
    for wrong in ("2", "-1", "P"):
        with pytest.raises(VivavoceError, match="there are aux, p, or 0 to 1"):
            open_model(path, Preprocessing(output_name=wrong))


def test_scores_of_pictures_too_many_are_refused(tmp_path):
    tail = [node("Reshape", ["scores", "halves"], ["y"])]
    path = dressed.save(tmp_path / "m.onnx", tail, {"y": (F, ("N", 5, 2))}, {"halves": np.array([-1, 5, 2])})
    with pytest.raises(VivavoceError, match=r"float \['N', 5, 2\].*--output-name"):
        open_model(path)


@pytest.mark.parametrize("shape", [(K, "N"), (K, None), ("A", "B"), None])
def test_images_along_the_second_axis_are_refused(shape, tmp_path):
    tail = [node("Transpose", ["scores"], ["y"], perm=[1, 0])]
    path = dressed.save(tmp_path / "m.onnx", tail, {"y": (F, shape)})
    with pytest.raises(VivavoceError, match=r"gives \[10, 2\] for 2 images, not \[images, classes\]; export"):
        open_model(path)
