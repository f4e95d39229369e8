import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, shape_inference

from vivavoce.gradient.graph import Graph
from vivavoce.gradient.reverse import differentiate

rng = np.random.default_rng(10)


def gradient(nodes, constants, x, run, opset=21):
    """Gradient of the sum of the output `y`."""
    graph = helper.make_graph(
        nodes, "quantised",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(a), k) for k, a in constants.items()],
    )  # fmt: skip
    model = shape_inference.infer_shapes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    )
    built = Graph(model)
    y = built.value("y")
    loss = y.sum(range(y.rank), keepdims=False).reshape(1)
    return run(built.model({"gradient": differentiate(built, loss, "x")}), {"x": x})[0]


PAIR = [
    helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], axis=1),
    helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"], axis=1),
]


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16])
def test_a_pair_is_the_identity_inside_its_range(run, dtype):
    zero = dtype(3)
    info = np.iinfo(dtype)
    low, high = (info.min - 3) * 0.1, (info.max - 3) * 0.1
    x = np.array([[low - 1, low + 0.01, 0.04, high - 0.01, high + 1]], np.float32)
    found = gradient(PAIR, {"s": np.float32(0.1), "z": zero}, x, run)
    np.testing.assert_allclose(found, [[0, 1, 1, 1, 0]], rtol=1e-6)


def test_scales_per_channel(run):
    x = np.array([[[5.0, 50.0]], [[5.0, 50.0]]], np.float32).reshape(1, 2, 2)
    constants = {"s": np.array([0.1, 1.0], np.float32), "z": np.zeros(2, np.int8)}
    np.testing.assert_allclose(gradient(PAIR, constants, x, run), [[[1, 0], [1, 1]]], rtol=1e-6)


@pytest.mark.parametrize("per_column", [False, True])
def test_dynamic_matmul(run, per_column):
    """The integers' product, scaled back, has the gradient of the product of what they stand for."""
    weight = rng.integers(-100, 100, (4, 3)).astype(np.int8)
    zero = np.array([2, -3, 1], np.int8) if per_column else np.int8(2)
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "sx", "zx"]),
        helper.make_node("MatMulInteger", ["q", "w", "zx", "zw"], ["i"]),
        helper.make_node("Cast", ["i"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["sx", "sw"], ["scale"]),
        helper.make_node("Mul", ["f", "scale"], ["y"]),
    ]
    x = rng.standard_normal((2, 4)).astype(np.float32)
    found = gradient(nodes, {"w": weight, "zw": zero, "sw": np.float32(0.5)}, x, run)
    expected = (weight.astype(np.float32) - zero).sum(1) * 0.5
    np.testing.assert_allclose(found, np.broadcast_to(expected, (2, 4)), rtol=1e-5)


MOVES = [
    ("MaxPool", [], {"kernel_shape": [2, 2], "strides": [2, 2]}),
    ("MaxPool", [], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
    ("Relu", [], {}),
    ("Clip", [np.int8(-20), np.int8(30)], {}),
    ("Reshape", [np.array([0, -1])], {}),
    ("Transpose", [], {"perm": [0, 2, 3, 1]}),
    ("Slice", [np.array([1]), np.array([3]), np.array([2])], {}),
    ("Pad", [np.array([0, 0, 1, 1, 0, 0, 1, 1]), np.int8(7)], {}),
    ("Gather", [np.array([2, 0])], {"axis": 1}),
    ("Expand", [np.array([2, 3, 4, 4])], {}),
    ("Resize", [np.zeros(0, np.float32), np.array([1, 1, 2, 2], np.float32)], {"mode": "nearest"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("operator", "inputs", "attributes"), MOVES, ids=[f"{k}-{m[0]}" for k, m in enumerate(MOVES)]
)
def test_numbers_that_an_operator_moves_or_picks(run, operator, inputs, attributes):
    """On integers the gradient is that of the same operator on the floats that they stand for."""
    constants = {"s": np.float32(0.05), "z": np.int8(0)}
    integers, floats = dict(constants), dict(constants)
    for k, array in enumerate(inputs):
        integers[f"c{k}"] = array
        floats[f"c{k}"] = np.float32(array * 0.05) if array.dtype == np.int8 else array
    names = list(integers)[2:]
    quantise = helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"])
    between = [quantise, helper.make_node(operator, ["q", *names], ["m"], **attributes),
               helper.make_node("DequantizeLinear", ["m", "s", "z"], ["y"])]  # fmt: skip
    before = [quantise, helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
              helper.make_node(operator, ["d", *names], ["y"], **attributes)]  # fmt: skip
    x = rng.standard_normal((1, 3, 4, 4)).astype(np.float32)
    x = np.concatenate([x, x])[: 1 if operator == "Expand" else 2]
    found = gradient(between, integers, x, run, 18)
    assert np.ptp(found) > 0 or operator in ("Reshape", "Transpose", "Expand", "Resize", "Pad")
    np.testing.assert_allclose(found, gradient(before, floats, x, run, 18), rtol=1e-6)
