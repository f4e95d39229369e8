"""What operators meant in old opsets: the prepared graph against the file itself, scores and gradient."""

from functools import cache

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.helper import make_node as node

from vivavoce.gradient import InputGradient

rng = np.random.default_rng(3)
SHAPE = (2, 4, 6, 6)


def normal(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def one(operator, *more, **attributes):
    return [node(operator, ["x", *more], ["y"], **attributes)]


def positive(operator, *more, **attributes):
    return [node("Softplus", ["x"], ["v"]), node(operator, ["v", *more], ["y"], **attributes)]


def scales(*factors):
    return {"s": np.array([1, 1, *factors], np.float32)}


def integers(**arrays):
    return {name: np.array(values, np.int64) for name, values in arrays.items()}


PADS = [0, 0, 1, 2, 0, 0, 2, 1]
POOL = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
NORM = {k: np.abs(normal(4)) + np.float32(0.5) for k in "abcd"}
LIMITS = {"lo": np.float32(-0.5), "hi": np.float32(0.7)}
GROUPS = {"a": normal(4), "b": normal(4)}
KERNEL = {"k": normal(4, 3, 3, 3)}
QKV = {"kk": normal(2, 4, 5, 6), "vv": normal(2, 4, 5, 6)}

CASES = {
    "resize up": ([10], one("Resize", "s"), scales(2.3, 1.7)),
    "resize down": ([10], one("Resize", "s"), scales(0.4, 0.6)),
    "resize up and down": ([10], one("Resize", "s"), scales(0.4, 1.7)),
    "resize linear": ([10], one("Resize", "s", mode="linear"), scales(0.4, 1.7)),
    "resize half-pixel": ([11, 13], one("Resize", "r", "s"), scales(1.5, 0.7) | {"r": np.zeros(0, "f4")}),
    "resize cubic": ([11], one("Resize", "r", "s", mode="cubic"), scales(1.5, 2) | {"r": np.zeros(0, "f4")}),
    "resize antialias": ([18, 19], one("Resize", "", "s", mode="linear", antialias=1), scales(0.5, 0.7)),
    "upsample": ([9], one("Upsample", "s"), scales(1.5, 2.5)),
    "upsample linear": ([9], one("Upsample", "s", mode="linear"), scales(1.5, 2.5)),
    "upsample attribute": ([7, 8], one("Upsample", scales=[1.0, 1.0, 1.5, 2.0], mode="nearest"), {}),
    "softmax": ([7, 11, 12, 13], one("Softmax"), {}),
    "softmax inside": ([7, 11, 13], one("Softmax", axis=2), {}),
    "softmax from behind": ([11, 12], one("Softmax", axis=-2), {}),
    "log-softmax": ([7, 12, 13], one("LogSoftmax"), {}),
    "batch normalisation": ([7, 9, 14, 15], one("BatchNormalization", *"abcd"), NORM),
    "dropout": ([7, 10, 12, 13], one("Dropout"), {}),
    "average": ([7, 10, 19], one("AveragePool", **POOL), {}),
    "average with pads": ([7, 11], one("AveragePool", **POOL, count_include_pad=1), {}),
    "average ceil": ([10, 19, 22], one("AveragePool", **POOL, ceil_mode=1, count_include_pad=1), {}),
    "maximum": ([7, 8, 12], one("MaxPool", **POOL), {}),
    "maximum dilated": ([10, 12], one("MaxPool", kernel_shape=[2, 2], dilations=[2, 2], ceil_mode=1), {}),
    "root of powers": ([7, 11, 18], one("LpPool", kernel_shape=[2, 2], p=2), {}),
    "pad": ([7, 10], one("Pad", pads=PADS, mode="reflect"), {}),
    "pad constant": ([7], one("Pad", pads=PADS, value=0.3), {}),
    "pad given": ([11, 13, 18], one("Pad", "p", mode="edge"), integers(p=PADS)),
    "clip": ([7, 10], one("Clip", min=-0.5, max=0.7), {}),
    "clip below": ([7], one("Clip", max=0.7), {}),
    "clip given": ([11, 12, 13], one("Clip", "lo", "hi"), LIMITS),
    "largest": ([7], [node("TopK", ["x"], ["y", "i"], axis=2, k=3)], {}),
    "largest given": ([10, 11], [node("TopK", ["x", "n"], ["y", "i"], axis=2)], integers(n=[3])),
    "slice": ([7, 9], one("Slice", axes=[2, 3], starts=[1, -4], ends=[5, 100]), {}),
    "slice given": ([10, 13], one("Slice", "st", "en", "ax"), integers(st=[1, -4], en=[5, 99], ax=[2, -1])),
    "squeeze": (
        [7, 11],
        [node("Unsqueeze", ["x"], ["u"], axes=[1, 4]), node("Squeeze", ["u"], ["y"], axes=[1, 4])],
        {},
    ),
    "sum": ([7, 11], one("ReduceSum", axes=[2], keepdims=0), {}),
    "sum given": ([13], one("ReduceSum", "ax"), integers(ax=[-1])),
    "log of sums": ([7, 12, 13], one("ReduceLogSumExp", axes=[2]), {}),
    "length": ([7, 13], one("ReduceL2", axes=[3]), {}),
    "split": ([7, 11], [node("Split", ["x"], ["u", "y"], axis=2, split=[2, 4])], {}),
    "split evenly": ([7, 13], [node("Split", ["x"], ["u", "y"], axis=2)], {}),
    "cast": ([7, 9, 13], [node("Cast", ["x"], ["u"], to=11), node("Cast", ["u"], ["y"], to=1)], {}),
    "gemm": (
        [7, 9, 11, 13],
        [node("Flatten", ["x"], ["q"]), node("Gemm", ["q", "m", "c"], ["y"], alpha=0.5, beta=2.0)],
        {"m": normal(144, 5), "c": normal(5)},
    ),
    "prelu": ([7, 9, 16], one("PRelu", "sl"), {"sl": np.abs(normal(4, 1, 1))}),
    "gather": ([7, 11, 13], one("Gather", "i", axis=2), integers(i=[3, 2, 0])),
    "groups": ([18, 20], one("GroupNormalization", "a", "b", num_groups=2), {"a": normal(2), "b": normal(2)}),
    "groups, a scale each": ([21, 22], one("GroupNormalization", "a", "b", num_groups=2), GROUPS),
    "instances": ([7, 22], one("InstanceNormalization", "a", "b"), GROUPS),
    "layers": ([17], one("LayerNormalization", "a", "b"), {"a": normal(6), "b": normal(6)}),
    "depth": ([7, 10], one("DepthToSpace", blocksize=2), {}),
    "depth in columns": ([11, 13], one("DepthToSpace", blocksize=2, mode="CRD"), {}),
    "power": ([7, 12, 13], positive("Pow", "e"), {"e": np.float32(1.7)}),
    "whole power": ([12, 13], one("Pow", "e"), {"e": np.array(3)}),
    "transposed": ([7, 11, 18], one("ConvTranspose", "k", auto_pad="SAME_UPPER", strides=[2, 2]), KERNEL),
    "transposed, size": ([7, 11], one("ConvTranspose", "k", output_shape=[11, 12], strides=[2, 2]), KERNEL),
    "gelu": ([20], one("Gelu", approximate="tanh"), {}),
    "neighbours": ([7, 13], one("LRN", size=3, alpha=0.1), {}),
    "mean and variance": ([9, 13], one("MeanVarianceNormalization", axes=[2, 3]), {}),
    "unit length": ([7, 22], one("LpNormalization", axis=1, p=2), {}),
    "swish": ([24], one("Swish"), {}),
    "root mean square": ([23], one("RMSNormalization", "a"), {"a": normal(6)}),
    "rotary": ([23], one("RotaryEmbedding", "c", "d"), {"c": normal(2, 6, 3), "d": normal(2, 6, 3)}),
    "attention with a mask": ([23], one("Attention", "x", "x", "m"), {"m": normal(6, 6)}),
    "attention, constant keys": ([23], one("Attention", "kk", "vv"), QKV),
}  # fmt: skip


def session(model):
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])


def built(nodes, constants, opset, output):
    graph = helper.make_graph(
        nodes, "one", [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)],
        [output], [numpy_helper.from_array(np.asarray(a), k) for k, a in constants.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def classifier(nodes, constants, opset) -> onnx.ModelProto:
    """The nodes from `x` to `y`, then one product to three scores."""
    alone = built(nodes, constants, opset, helper.make_empty_tensor_value_info("y"))
    y = np.asarray(session(alone).run(None, {"x": np.zeros(SHAPE, np.float32)})[0])
    weights = np.random.default_rng(9).standard_normal((y.size // len(y), 3)).astype(np.float32)
    head = [node("Reshape", ["y", "target"], ["flat"]), node("MatMul", ["flat", "weights"], ["scores"])]
    more = {"target": np.array([SHAPE[0], -1]), "weights": weights}
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [SHAPE[0], 3])
    return built([*nodes, *head], constants | more, opset, scores)


@cache
def images() -> np.ndarray:
    """Pixels that stay clear of the points where Clip and PRelu have a kink."""
    x = np.random.default_rng(1).standard_normal(SHAPE).astype(np.float32)
    for kink in LIMITS["lo"], np.float32(0), LIMITS["hi"]:
        x = np.where(np.abs(x - kink) < 0.025, kink + np.float32(0.03), x)
    return x


@pytest.mark.parametrize(("name", "opset"), [(name, o) for name, case in CASES.items() for o in case[0]])
def test_scores_and_gradient_are_those_of_the_file(name, opset):
    """Differences of the file along random directions, over steps short enough to stay on one piece.

    A step of 2e-3 leaves a rounding error of about 1e-7 / 2e-3 = 5e-5 of the scores' size, and one in its
    square from the curve. Directions along which two steps disagree cross a kink and are left out.
    """
    _, nodes, constants = CASES[name]
    model = classifier(nodes, constants, opset)
    file, x, goals = session(model), images(), np.arange(len(images()))
    gradient = InputGradient(model, "difference", image="x", threads=1)
    _, found, _ = gradient(x, goals, goals + 1)
    scores = np.asarray(file.run(None, {"x": x})[0])
    assert not gradient.strayed(scores).any()
    assert np.abs(gradient.graph_scores - scores).max() <= 1e-5 * np.ptp(scores)

    def loss(moved):
        at = np.asarray(file.run(None, {"x": moved})[0]).astype(np.float64)
        return at[goals, goals + 1] - at[goals, goals]

    length = np.linalg.norm(found.reshape(len(x), -1), axis=1)
    compared = 0
    for direction in np.random.default_rng(2).standard_normal((6, *SHAPE)).astype(np.float32):
        wide, narrow = ((loss(x + h * direction) - loss(x - h * direction)) / (2 * h)
                        for h in (np.float32(4e-3), np.float32(2e-3)))  # fmt: skip
        smooth = np.abs(wide - narrow) <= 2e-3 * length
        along = (found.astype(np.float64) * direction).reshape(len(x), -1).sum(1)
        assert (np.abs(along - narrow) <= 1e-2 * length)[smooth].all(), name
        compared += int(smooth.sum())
    assert compared >= 3
