"""Products with constant weights take in scales, normalisations and slices."""

import numpy as np
import pytest
from networks import network, to_onnx
from onnx.helper import make_node as node

from vivavoce.gradient import InputGradient, UnsupportedOperator

rng = np.random.default_rng(5)
WIDTH, INNER, CLASSES = 64, 128, 4


def normal(*shape, scale=0.3):
    return (scale * rng.standard_normal(shape)).astype(np.float32)


CONSTANTS = {
    "w": normal(WIDTH, INNER), "c": normal(INNER), "v": normal(INNER, CLASSES), "d": normal(CLASSES),
    "u": normal(CLASSES, INNER), "g": 1 + normal(WIDTH), "b": normal(WIDTH),
    "rows": 1 + normal(1, INNER, scale=0.1),
    "half": np.float32(0.5), "one": np.float32(1), "root": np.float32(2**0.5),
    "zero": np.float32(0), "g2": normal(INNER, WIDTH), "each": normal(3, WIDTH),
    "flat": np.array([-1, WIDTH]),
    "wide": np.array([-1, 3, INNER]), "three": np.array([-1, 3, WIDTH]), "back": np.array([-1, INNER]),
    "heads": np.array([-1, 3, 2, WIDTH]), "halves": np.array([1, 1]), "uneven": np.array([32, 96]),
    "last": np.array([-1, 3, CLASSES]), "axis": np.array([1]),
    "zeroth": np.array(0), "final": np.array(-1), "first": np.array([0]),
    "turned": np.array([3, -1, CLASSES]),
}  # fmt: skip
"""The input is [N, 3, WIDTH]: three places."""

X = [node("Reshape", ["image", "flat"], ["x"])]
NX = [node("Reshape", ["n", "flat"], ["x"])]
H = [node("Gemm", ["x", "w", "c"], ["h"])]
END = [node("Gemm", ["a", "v", "d"], ["y"]), node("Reshape", ["y", "last"], ["z"]),
       node("ReduceMean", ["z", "axis"], ["scores"], keepdims=0)]  # fmt: skip


def erf(x, h):
    return [node("Erf", ["r"], ["e"]), node("Add", ["e", "one"], ["p"]), node("Mul", [x, "p"], [h])]


DIVIDED = node("Div", ["h", "root"], ["r"])
TANH = node("Tanh", ["h"], ["a"])
NORMALISED = node("LayerNormalization", ["image", "g", "b"], ["n"])
GRAPHS = {
    "gelu": [*X, *H, DIVIDED, *erf("h", "q"), node("Mul", ["q", "half"], ["a"]), *END],
    "gelu, reshaped": [*X, *H, node("Reshape", ["h", "wide"], ["hw"]), node("Div", ["hw", "root"], ["r"]),
                       *erf("hw", "q"), node("Mul", ["q", "half"], ["s"]),
                       node("Reshape", ["s", "back"], ["a"]), *END],
    "gelu, operator": [*X, *H, node("Gelu", ["h"], ["a"]), *END],
    "gelu, tanh": [*X, *H, node("Gelu", ["h"], ["a"], approximate="tanh"), *END],
    "scaled and gated": [*X, *H, node("Mul", ["half", "h"], ["r"]), *erf("h", "a"), *END],
    "normalised": [NORMALISED, *NX, *H, TANH, *END],
    "normalised, no shift": [node("LayerNormalization", ["image", "g"], ["n"], axis=2, epsilon=1e-2),
                             *NX, *H, TANH, *END],
    "normalised, over two axes": [node("LayerNormalization", ["image", "each", "each"], ["n"], axis=1),
                                  *NX, *H, TANH, *END],
    "normalised, beside": [NORMALISED, *NX, *H, node("Gemm", ["x", "w"], ["k"]),
                           node("Mul", ["h", "k"], ["a"]), *END],
    "normalised, read elsewhere": [NORMALISED, node("Sin", ["n"], ["s"]), node("Mul", ["n", "s"], ["m"]),
                                   node("Reshape", ["m", "flat"], ["x"]), *H, TANH, *END],
    "normalised, other order": [NORMALISED, node("Transpose", ["n"], ["t"], perm=[1, 0, 2]),
                                node("Reshape", ["t", "flat"], ["x"]), *H, TANH, END[0],
                                node("Reshape", ["y", "turned"], ["z"]),
                                node("ReduceMean", ["z", "first"], ["scores"], keepdims=0)],
    "rows scaled": [*X, *H, node("Tanh", ["h"], ["t"]), node("Mul", ["t", "rows"], ["a"]), *END],
    "columns scaled": [*X, *H, node("Mul", ["rows", "h"], ["r"]), node("Tanh", ["r"], ["a"]), *END],
    "nothing left": [*X, *H, node("Mul", ["h", "zero"], ["r"]), node("Cos", ["r"], ["o"]),
                     node("Tanh", ["h"], ["t"]), node("Mul", ["o", "t"], ["a"]), *END],
    "scaled twice": [*X, *H, node("Mul", ["h", "half"], ["r"]), node("Div", ["r", "rows"], ["s"]),
                     node("Tanh", ["s"], ["a"]), *END],
    "split": [*X, *H, node("Split", ["h"], ["k", "q"], axis=1, num_outputs=2),
              node("Mul", ["k", "q"], ["m"]), node("Gemm", ["m", "w"], ["a"]), *END],
    "split into heads": [*X, *H, node("Reshape", ["h", "heads"], ["s"]),
                         node("Split", ["s", "halves"], ["k", "q"], axis=2), node("Mul", ["k", "q"], ["m"]),
                         node("Reshape", ["m", "flat"], ["f"]), node("Gemm", ["f", "w"], ["a"]), *END],
    "gathered": [*X, *H, node("Reshape", ["h", "heads"], ["s"]),
                 node("Transpose", ["s"], ["t"], perm=[2, 3, 0, 1]),
                 node("Gather", ["t", "zeroth"], ["k"], axis=0),
                 node("Gather", ["t", "final"], ["q"], axis=0),
                 node("Sin", ["k"], ["o"]), node("Mul", ["o", "q"], ["m"]),
                 node("Transpose", ["m"], ["i"], perm=[1, 2, 0]),
                 node("Reshape", ["i", "flat"], ["f"]), node("Gemm", ["f", "w"], ["a"]), *END],
    "split, narrow": [*X, *H, node("Split", ["h", "uneven"], ["k", "q"], axis=1),
                      node("Concat", ["q", "k"], ["j"], axis=1), node("Tanh", ["j"], ["a"]), *END],
    "transposed": [*X, node("Gemm", ["x", "g2", "c"], ["h"], transB=1, alpha=0.7, beta=1.3),
                   node("Mul", ["h", "rows"], ["r"]), node("Tanh", ["r"], ["t"]),
                   node("Mul", ["t", "half"], ["a"]),
                   node("Gemm", ["a", "u", "d"], ["y"], transB=1, alpha=2.0, beta=0.5), *END[1:]],
}  # fmt: skip


def gradients(model, x):
    """By the graph for the CPU, in which products take things in, and by the portable one."""
    goals = np.arange(len(x)) % CLASSES
    found = []
    for blocked in (True, False):
        gradient = InputGradient(model, "cross-entropy", threads=1)
        gradient.blocked = blocked
        found.append((*gradient(x, goals), [n.op_type for n in gradient.graph(x.shape).graph.node]))
    return found


def used(nodes, constants):
    names = {name for n in nodes for name in n.input}
    return {name: np.asarray(array) for name, array in constants.items() if name in names}


FOUND = {}


def found_for(graph_of, name):
    """The gradients of a graph by name, computed once."""
    if name not in FOUND:
        model = graph_of(GRAPHS[name], used(GRAPHS[name], CONSTANTS), ["N", 3, WIDTH], CLASSES, 20)
        FOUND[name] = gradients(model, normal(5, 3, WIDTH, scale=1.0))
    return FOUND[name]


@pytest.mark.parametrize("name", GRAPHS)
def test_gradients_stay_what_they_are(graph_of, name):
    ours, plain = found_for(graph_of, name)
    for found, expected in zip(ours[:3], plain[:3], strict=True):
        assert np.abs(expected).max() > 1e-3
        assert np.abs(found - expected).max() <= 2e-6 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("name", "operator", "left"),
    [
        ("gelu", "Gelu", 0), ("gelu, reshaped", "Gelu", 0), ("gelu, operator", "Gelu", 0),
        ("gelu, tanh", "Gelu", 1), ("scaled twice", "Div", 0), ("normalised", "LayerNormalization", 1),
        ("normalised, no shift", "LayerNormalization", 1),
        ("normalised, other order", "LayerNormalization", 1),
        ("normalised, beside", "LayerNormalization", 1),
        ("normalised, read elsewhere", "LayerNormalization", 2), ("split", "Split", 0),
        ("split", "Concat", 0), ("split into heads", "Split", 0), ("gathered", "Gather", 0),
        ("split, narrow", "Split", 1),
    ],
)  # fmt: skip
def test_products_take_in(graph_of, name, operator, left):
    ours, plain = found_for(graph_of, name)
    assert ours[3].count(operator) == left
    assert plain[3].count(operator) > left or left > 0
    assert "Div" not in ours[3]


def test_a_part_without_a_name_is_refused_in_its_node(graph_of):
    parts = node("Split", ["h"], ["", "q"], axis=1, num_outputs=2)
    nodes = [*X, *H, parts, node("Gemm", ["q", "w"], ["a"]), *END]
    model = graph_of(nodes, used(nodes, CONSTANTS), ["N", 3, WIDTH], CLASSES, 20)
    with pytest.raises(UnsupportedOperator, match="no gradient through Split"):
        InputGradient(model, "cross-entropy", threads=1)


@pytest.mark.parametrize("scale", ["tiny", "huge"])
def test_scales_that_weights_cannot_hold_stay(graph_of, scale):
    nodes = [*X, *H, node("Mul", ["h", scale], ["r"]), node("Tanh", ["r"], ["a"]), *END]
    constants = {**CONSTANTS, "tiny": np.float32(1e-38), "huge": np.float32(1e30)}
    ours, plain = gradients(
        graph_of(nodes, used(nodes, constants), ["N", 3, WIDTH], CLASSES, 20), normal(2, 3, WIDTH)
    )
    for found, expected in zip(ours[:3], plain[:3], strict=True):
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("name", ["n", "x", "h", "r", "q"])
def test_a_value_with_a_gradient_of_its_own_stays_what_it_is(graph_of, name):
    nodes = [NORMALISED, *NX, *H, DIVIDED, *erf("h", "q"), node("Mul", ["q", "half"], ["a"]), *END]
    model = graph_of(nodes, used(nodes, CONSTANTS), ["N", 3, WIDTH], CLASSES, 20)
    x, goals = normal(2, 3, WIDTH), np.array([0, 1])
    found = []
    for blocked in (True, False):
        gradient = InputGradient(model, "cross-entropy", threads=1, of=name)
        gradient.blocked = blocked
        found.append(gradient.evaluate(x, goals))
    value, expected = (f.value for f in found)
    assert np.abs(value - expected).max() <= 1e-6 * np.abs(expected).max()
    assert np.abs(found[0].gradient - found[1].gradient).max() <= 2e-6 * np.abs(found[1].gradient).max()


@pytest.mark.parametrize("dynamo", [False, True])
def test_a_vision_transformer_has_no_pass_that_its_products_can_do(dynamo):
    gradient = InputGradient(to_onnx(network("vit"), dynamo=dynamo, opset=20), "cross-entropy", threads=1)
    operators = [n.op_type for n in gradient.graph((2, 3, 32, 32)).graph.node]
    assert not {"Div", "Gelu"} & set(operators)
    assert operators.count("LayerNormalization") == 6  # five, and the last one's slice behind it
