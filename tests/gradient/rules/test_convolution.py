"""Convolutions against torch in float64."""

import numpy as np
import pytest
from onnx import helper, numpy_helper

from vivavoce.gradient.graph import Graph
from vivavoce.gradient.preparation import shapes
from vivavoce.gradient.reverse import differentiate

from .conftest import run

torch = pytest.importorskip("torch")
F = torch.nn.functional
rng = np.random.default_rng(2)

# dims, channels in, out, kernel, strides, pads before, pads after, dilations, group, size
CASES = [
    (2, 3, 16, (3, 3), (1, 1), (1, 1), (1, 1), (1, 1), 1, (6, 5)),
    (2, 16, 16, (3, 3), (2, 2), (1, 1), (1, 1), (1, 1), 1, (7, 8)),
    (2, 16, 16, (1, 1), (2, 2), (0, 0), (0, 0), (1, 1), 1, (7, 8)),
    (2, 16, 16, (3, 3), (2, 2), (1, 1), (1, 1), (1, 1), 1, (8, 6)),
    (2, 32, 16, (1, 1), (2, 2), (0, 0), (0, 0), (1, 1), 1, (8, 6)),
    (2, 16, 32, (2, 2), (2, 2), (0, 0), (0, 0), (1, 1), 1, (6, 4)),
    (2, 16, 16, (5, 3), (3, 2), (2, 1), (1, 0), (1, 1), 1, (9, 8)),
    (2, 16, 16, (2, 1), (3, 4), (0, 0), (0, 0), (1, 1), 1, (9, 8)),
    (2, 16, 256, (3, 3), (2, 2), (1, 1), (1, 1), (1, 1), 1, (4, 4)),
    (2, 16, 16, (7, 7), (2, 2), (3, 3), (3, 3), (1, 1), 1, (8, 10)),
    (2, 16, 16, (3, 3), (2, 1), (0, 1), (0, 1), (1, 1), 1, (10, 5)),
    (2, 4, 6, (3, 2), (1, 1), (0, 1), (2, 0), (2, 1), 2, (7, 6)),
    (2, 16, 16, (3, 3), (1, 1), (1, 1), (1, 1), (1, 1), 16, (5, 5)),
    (2, 8, 8, (5, 5), (3, 2), (2, 1), (1, 2), (1, 2), 8, (11, 12)),
    (2, 3, 4, (2, 2), (3, 3), (0, 0), (0, 0), (1, 1), 1, (8, 7)),
    (2, 2, 3, (1, 1), (1, 1), (1, 1), (1, 1), (1, 1), 1, (4, 4)),
    (1, 3, 4, (3,), (1,), (1,), (1,), (1,), 1, (9,)),
    (1, 4, 4, (4,), (2,), (1,), (0,), (2,), 2, (11,)),
    (3, 2, 3, (2, 3, 2), (1, 1, 1), (0, 1, 0), (1, 1, 0), (1, 1, 1), 1, (4, 5, 3)),
    (3, 2, 2, (2, 2, 2), (2, 2, 1), (0, 0, 0), (0, 0, 0), (1, 1, 1), 2, (5, 4, 3)),
]
IDS = [f"{row[0]}d-k{row[3]}-s{row[4]}-g{row[8]}" for row in CASES]


def attributes(kernel, strides, before, after, dilations, group):
    return {"kernel_shape": kernel, "strides": strides, "pads": [*before, *after], "dilations": dilations,
            "group": group}  # fmt: skip


def vjp(function, feeds):
    x = torch.from_numpy(feeds["x"]).requires_grad_(True)
    y = function(x)
    weights = np.random.default_rng(7).standard_normal(tuple(y.shape)).astype(np.float32)
    (y * torch.from_numpy(weights).double()).sum().backward()
    return {"x": x.grad.numpy()}


def padding(before, after):
    return [p for pair in zip(reversed(before), reversed(after), strict=True) for p in pair]


@pytest.mark.parametrize(
    ("dims", "i", "o", "kernel", "strides", "before", "after", "dilations", "group", "size"), CASES, ids=IDS
)
def test_conv(check_rule, dims, i, o, kernel, strides, before, after, dilations, group, size):
    x = rng.standard_normal((2, i, *size)).astype(np.float32)
    w = rng.standard_normal((o, i // group, *kernel)).astype(np.float32)
    convolve = [F.conv1d, F.conv2d, F.conv3d][dims - 1]

    def reference(feeds):
        weight = torch.from_numpy(w).double()
        return vjp(
            lambda t: convolve(F.pad(t, padding(before, after)), weight, None, strides, 0, dilations, group),
            feeds,
        )

    inputs = {"x": x, "w": w, "b": np.ones(o, np.float32)}
    named = attributes(kernel, strides, before, after, dilations, group)
    check_rule("Conv", inputs, named, reference, second_opinion=before == after)  # onnx-ad 0.3 errs on others


def test_two_strided_convolutions_of_one_image_are_undone_together():
    x = rng.standard_normal((2, 16, 8, 8)).astype(np.float32)
    a, b = (rng.standard_normal((32, 16, k, k)).astype(np.float32) for k in (3, 1))
    nodes = [
        helper.make_node("Conv", ["x", "a"], ["ya"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["x", "b"], ["yb"], strides=[2, 2]),
        helper.make_node("Mul", ["ya", "ya"], ["square"]),
        helper.make_node("Mul", ["square", "yb"], ["y"]),
        helper.make_node("ReduceSum", ["y", "axes"], ["loss"], keepdims=0),
    ]
    arrays = {"a": a, "b": b, "axes": np.array([1, 2, 3])}
    declared = [helper.make_tensor_value_info(n, 1, s) for n, s in (("x", x.shape), ("loss", [2]))]
    constants = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    model = helper.make_model(
        helper.make_graph(nodes, "two", declared[:1], declared[1:], constants),
        opset_imports=[helper.make_opsetid("", 18)], ir_version=8,
    )  # fmt: skip
    graph = Graph(shapes.infer(model))
    finished = graph.model({"gradient": differentiate(graph, graph.value("loss"), "x")})
    operators = [node.op_type for node in finished.graph.node]
    assert (operators.count("Transpose"), operators.count("ConvTranspose")) == (3, 0)

    leaf = torch.from_numpy(x).double().requires_grad_(True)
    wa, wb = torch.from_numpy(a).double(), torch.from_numpy(b).double()
    (F.conv2d(leaf, wa, None, 2, 1) ** 2 * F.conv2d(leaf, wb, None, 2)).sum().backward()
    expected = leaf.grad.numpy()
    (found,) = run(finished, {"x": x})
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("dims", "i", "o", "kernel", "strides", "before", "after", "dilations", "group", "size"), CASES, ids=IDS
)
def test_conv_transpose(check_rule, dims, i, o, kernel, strides, before, after, dilations, group, size):
    x = rng.standard_normal((2, i, *size)).astype(np.float32)
    w = rng.standard_normal((i, o // group, *kernel)).astype(np.float32)
    convolve = [F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d][dims - 1]

    def reference(feeds):
        def function(t):
            y = convolve(t, torch.from_numpy(w).double(), None, strides, 0, 0, group, dilations)
            for k, (low, high) in enumerate(zip(before, after, strict=True)):
                y = y.narrow(k + 2, low, y.shape[k + 2] - low - high)
            return y

        return vjp(function, feeds)

    inputs = {"x": x, "w": w}
    check_rule(
        "ConvTranspose", inputs, attributes(kernel, strides, before, after, dilations, group), reference
    )


def test_conv_transpose_with_output_padding(check_rule):
    x = rng.standard_normal((2, 16, 4, 3)).astype(np.float32)
    w = rng.standard_normal((16, 16, 3, 3)).astype(np.float32)

    def reference(feeds):
        return vjp(lambda t: F.conv_transpose2d(t, torch.from_numpy(w).double(), None, 2, 1, 1), feeds)

    named = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]}
    check_rule("ConvTranspose", {"x": x, "w": w}, named, reference)
