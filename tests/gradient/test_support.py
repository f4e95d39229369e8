from typing import Any

import numpy as np
import onnxruntime
import pytest
from networks import network, to_onnx
from onnx import TensorProto, helper
from onnx.helper import make_node as node

from vivavoce.errors import VivavoceError
from vivavoce.gradient import InputGradient, UnsupportedOperator, batch_size, support
from vivavoce.gradient.memory import peak_bytes


def by_node(model, **options):
    return {entry.node: entry for entry in support(model, **options)}


@pytest.mark.parametrize("name", ["resnet", "label", "vit", "mobile"])
def test_a_float_model_is_exact(name):
    found = support(to_onnx(network(name)))
    assert {entry.status for entry in found} == {"exact"}
    assert not any(entry.reason for entry in found)


def mixed(graph_of):
    nodes = [
        node("Flatten", ["image"], ["f"], name="flatten"),
        node("Floor", ["f"], ["g"], name="steps"),
        node("Det", ["image"], ["d"], name="determinant"),
        node("Mul", ["d", "one"], ["e"], name="product"),
        node("Add", ["f", "g"], ["h"], name="sum"),
        node("ArgMax", ["f"], ["a"], axis=1, name="choice"),
        node("Cast", ["a"], ["b"], to=1, name="cast"),
        node("Add", ["e", "b"], ["i"], name="gate"),
        node("Mul", ["h", "i"], ["scores"], name="head"),
    ]
    return graph_of(nodes, {"one": np.full((1, 1), 2, np.float32)}, [1, 3, 3], 9)


def test_each_operator_is_told_apart(graph_of):
    found = by_node(mixed(graph_of))
    assert (found["determinant"].status, found["determinant"].reason) == (
        "missing",
        "there is no rule for it",
    )
    assert found["steps"].status == "missing"
    assert "step function" in found["steps"].reason
    assert (found["head"].status, found["head"].reason) == ("exact", "")
    assert "choice" in found["choice"].reason
    assert by_node(mixed(graph_of), straight_through=True)["steps"].status == "estimated"


def test_a_branch_that_reads_the_image_from_outside_is_on_the_way(graph_of):
    """Its condition is a choice, so the image reaches the node through nothing that it lists as an input."""
    value = helper.make_tensor_value_info("b", TensorProto.FLOAT, None)
    branches: dict[str, Any] = {
        f"{name}_branch": helper.make_graph([node(operator, ["f"], ["b"])], name, [], [value])
        for name, operator in (("then", "Tanh"), ("else", "Exp"))
    }
    nodes = [
        node("Flatten", ["image"], ["f"]),
        node("ReduceMean", ["image"], ["m"], keepdims=0),
        node("Greater", ["m", "half"], ["c"], name="condition"),
        node("If", ["c"], ["t"], name="branches", **branches),
        node("Add", ["f", "t"], ["scores"]),
    ]
    model = graph_of(nodes, {"half": np.float32(0.5)}, [1, 3, 3], 9)
    with pytest.raises(UnsupportedOperator, match=r"through If \(node `branches`\): there is no rule"):
        InputGradient(model, "cross-entropy")
    assert by_node(model)["branches"].status == "missing"


def test_a_contributed_operator_without_a_rule_is_named(graph_of):
    nodes = [
        node("Inverse", ["image"], ["i"], domain="com.microsoft", name="custom"),
        node("Flatten", ["i"], ["scores"]),
    ]
    model = graph_of(nodes, {}, [1, 1, 3, 3], 9, domain="com.microsoft")
    with pytest.raises(UnsupportedOperator, match=r"com\.microsoft\.Inverse \(node `custom`\): there is no"):
        InputGradient(model, "cross-entropy")
    assert by_node(model)["custom"].status == "missing"


def test_an_open_size_needs_a_shape():
    model = to_onnx(network("resnet"))
    for dim in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        dim.dim_param = f"size{dim.dim_value}"
    with pytest.raises(VivavoceError, match="size open"):
        support(model)
    with pytest.raises(VivavoceError, match="size open"):
        batch_size(model, 10**9)
    assert {entry.status for entry in support(model, shape=(3, 32, 32))} == {"exact"}
    gradient = InputGradient(model, "cross-entropy")
    assert gradient(np.zeros((2, 3, 32, 32), np.float32), np.zeros(2, np.int64))[1].shape == (2, 3, 32, 32)


def test_a_device_that_is_not_there_is_told(graph_of):
    model = graph_of([node("Flatten", ["image"], ["scores"])], {}, ["N", 3, 1, 1], 3)
    with pytest.raises(VivavoceError, match="no device 'tpu'"):
        InputGradient(model, "cross-entropy", device="tpu")
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        with pytest.raises(VivavoceError, match=r"no CUDA; install.*vivavoce\[gpu\]"):
            InputGradient(model, "cross-entropy", device="cuda")


def test_the_plain_layout_gives_the_same_gradient(batch):
    """What other devices than the CPU get."""
    model = to_onnx(network("resnet"))
    blocked, plain = (
        InputGradient(model, "cross-entropy", threads=2),
        InputGradient(model, "cross-entropy", threads=2),
    )
    plain.blocked = False
    a, b = blocked(*batch)[1], plain(*batch)[1]
    assert np.median(np.abs(a - b)) <= 1e-5 * np.abs(a).max()


def test_batch_size_grows_with_the_budget():
    model = to_onnx(network("resnet32"))
    sizes = [batch_size(model, budget) for budget in (1, 300_000_000, 600_000_000, 10**12)]
    assert sizes[0] == 1
    assert sizes == sorted(sizes)
    assert sizes[1] < sizes[2] < sizes[3] == 256


def test_peak_counts_what_lives_at_once(graph_of):
    """Image, its tanh and the gradients of both: a few times 64 floats, and not the whole chain's."""
    nodes = [node("Tanh", ["image" if k == 0 else f"t{k - 1}"], [f"t{k}"]) for k in range(8)]
    model = graph_of([*nodes, node("Flatten", ["t7"], ["scores"])], {}, ["N", 4, 4, 4], 64)
    peak = peak_bytes(*InputGradient(model, "cross-entropy").differentiated((1, 4, 4, 4)))
    assert 8 * 256 <= peak <= 20 * 256
