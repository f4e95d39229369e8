"""Files as they really are: old opsets, odd orders, other precisions, pinned batches."""

import numpy as np
import onnx
import pytest
import torch
from networks import network, to_onnx
from onnx import TensorProto, helper
from onnx.helper import make_node as node
from torch.nn import functional as F
from torch_gradients import torch_gradient

from vivavoce.errors import VivavoceError
from vivavoce.gradient import InputGradient
from vivavoce.gradient.graph import Graph
from vivavoce.gradient.preparation import convolution, shapes

rng = np.random.default_rng(11)


def normal(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def close(model, function, x, *, classes=2, tolerance=1e-4, **options):
    """Compare with torch in float64: `function` maps a tensor to scores."""
    goals = np.arange(len(x)) % classes
    _, found, scores = InputGradient(model, "cross-entropy", threads=1, **options)(x, goals)
    t = torch.from_numpy(x).double().requires_grad_(True)
    expected = function(t)
    F.cross_entropy(expected, torch.from_numpy(goals), reduction="sum").backward()
    assert t.grad is not None
    exact = t.grad.numpy()
    assert np.abs(scores - expected.detach().numpy()).max() <= tolerance * np.abs(scores).max()
    assert np.abs(found - exact).max() <= tolerance * np.abs(exact).max()


W = normal(4 * 16, 2)


def tail(name):
    """Flatten and one product, from a [N, 4, 4, 4] value to two scores."""
    return [node("Flatten", [name], ["flat"]), node("MatMul", ["flat", "w"], ["scores"])]


def score(t):
    return t.flatten(1) @ torch.from_numpy(W).double()


@pytest.mark.parametrize("opset", [7, 9, 11, 13, 18, 20, 22])
def test_every_opset(graph_of, opset):
    nodes = [node("Softmax", ["image"], ["s"], axis=1), node("Dropout", ["s"], ["d"]),
             node("MaxPool", ["d"], ["m"], kernel_shape=[1, 1]), *tail("m")]  # fmt: skip
    model = graph_of(nodes, {"w": W}, ["N", 4, 4, 4], 2, opset)

    def function(t):
        # before opset 13 Softmax ran over all the axes from its own on
        return score(t.softmax(1) if opset >= 13 else t.flatten(1).softmax(1).reshape(t.shape))

    close(model, function, normal(3, 4, 4, 4))


def test_upsample_and_old_reductions(graph_of):
    nodes = [node("Upsample", ["image", "scales"], ["u"], mode="nearest"),
             node("ReduceSum", ["u"], ["r"], axes=[3]), node("Unsqueeze", ["r"], ["v"], axes=[3]),
             node("Squeeze", ["v"], ["q"], axes=[3]), *tail("q")]  # fmt: skip
    scales = np.array([1, 1, 2, 2], np.float32)
    w = normal(16, 2)
    model = graph_of(nodes, {"w": w, "scales": scales}, ["N", 2, 4, 4], 2, 9)
    weight = torch.from_numpy(w).double()
    close(
        model,
        lambda t: F.interpolate(t, scale_factor=2).sum(3).flatten(1) @ weight,
        normal(3, 2, 4, 4),
    )


def test_nodes_out_of_order_and_initializers_among_the_inputs(graph_of):
    nodes = [*tail("t"), node("Tanh", ["image"], ["t"])]
    model = graph_of(nodes, {"w": W}, ["N", 4, 4, 4], 2)
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, W.shape))
    close(model, lambda t: score(t.tanh()), normal(3, 4, 4, 4))


def test_a_cycle_is_refused(graph_of):
    nodes = [node("Add", ["image", "b"], ["a"], name="first"), node("Tanh", ["a"], ["b"]), *tail("b")]
    with pytest.raises(VivavoceError, match=r"cycle.*first"):
        InputGradient(graph_of(nodes, {"w": W}, ["N", 4, 4, 4], 2), "cross-entropy")


@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.DOUBLE])
def test_other_precisions(graph_of, kind):
    weight = W.astype(helper.tensor_dtype_to_np_dtype(kind))
    nodes = [node("Cast", ["image"], ["c"], to=kind), node("Tanh", ["c"], ["t"]),
             node("Flatten", ["t"], ["flat"]), node("MatMul", ["flat", "w"], ["scores"])]  # fmt: skip
    model = graph_of(nodes, {"w": weight}, ["N", 4, 4, 4], 2)
    model.graph.output[0].type.tensor_type.elem_type = kind
    close(model, lambda t: score(t.tanh()), normal(3, 4, 4, 4), tolerance=2e-3)


def test_an_input_of_another_precision(graph_of):
    model = graph_of(
        [node("Tanh", ["image"], ["t"]), *tail("t")], {"w": W.astype(np.float64)}, ["N", 4, 4, 4], 2
    )
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    close(model, lambda t: score(t.tanh()), normal(3, 4, 4, 4))


def test_a_local_function(graph_of):
    body = [node("Mul", ["a", "a"], ["square"]), node("Add", ["square", "a"], ["b"])]
    function = helper.make_function("here", "Parabola", ["a"], ["b"], body, [helper.make_opsetid("", 18)])
    nodes = [node("Parabola", ["image"], ["p"], domain="here"), *tail("p")]
    model = graph_of(nodes, {"w": W}, ["N", 4, 4, 4], 2, domain="here")
    model.functions.append(function)
    close(model, lambda t: score(t * t + t), normal(3, 4, 4, 4))


def test_a_constant_choice(graph_of):
    def branch(operator):
        output = helper.make_tensor_value_info(operator, TensorProto.FLOAT, None)
        return helper.make_graph([node(operator, ["image"], [operator])], operator, [], [output])

    nodes = [node("If", ["yes"], ["t"], then_branch=branch("Tanh"), else_branch=branch("Exp")), *tail("t")]
    model = graph_of(nodes, {"w": W, "yes": np.array(True)}, ["N", 4, 4, 4], 2)
    close(model, lambda t: score(t.tanh()), normal(3, 4, 4, 4))


def test_an_operator_defined_by_others(graph_of):
    """Attention and mean-variance normalisation have no rule of their own: the standard's body is used."""
    nodes = [node("MeanVarianceNormalization", ["image"], ["z"], axes=[2, 3]),
             node("Attention", ["z", "z", "z"], ["a"]), *tail("a")]  # fmt: skip
    model = graph_of(nodes, {"w": W}, ["N", 4, 4, 4], 2, 23)

    def function(t):
        z = (t - t.mean((2, 3), keepdim=True)) / (t.var((2, 3), keepdim=True, correction=0) + 1e-9).sqrt()
        return score(F.scaled_dot_product_attention(z, z, z))

    close(model, function, normal(3, 4, 4, 4))


@pytest.mark.parametrize("probabilities", ["Softmax", "LogSoftmax"])
def test_the_gradient_is_taken_before_a_final_softmax(graph_of, probabilities):
    """With gaps of 200 the probabilities are 0 and 1, and have no gradient; the logits do."""
    nodes = [node("Flatten", ["image"], ["flat"]), node("MatMul", ["flat", "w"], ["logits"]),
             node(probabilities, ["logits"], ["scores"], axis=1)]  # fmt: skip
    model = graph_of(nodes, {"w": W}, ["N", 4, 4, 4], 2)
    x = np.zeros((1, 4, 4, 4), np.float32)
    x.reshape(-1)[:] = np.sign(W[:, 0] - W[:, 1])
    _, found, scores = InputGradient(model, "margin")(x, np.array([0]))
    np.testing.assert_allclose(found.ravel(), W[:, 1] - W[:, 0], rtol=1e-5)
    assert scores.max() <= 1  # and the scores are the file's own


@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("size", [7, 8])
@pytest.mark.parametrize("operator", ["Conv", "MaxPool", "AveragePool", "ConvTranspose"])
def test_automatic_padding(graph_of, operator, mode, size):
    """The pads written out give the same values as onnxruntime's own reading of `auto_pad`."""
    weight = {"k": normal(4, 4, 3, 2)} if "Conv" in operator else {}
    named = {"auto_pad": mode, "kernel_shape": [3, 2], "strides": [2, 1]}
    nodes = [node(operator, ["image", *weight], ["scores"], **named)]
    model = shapes.infer(graph_of(nodes, weight, [1, 4, size, size], 4))
    model.graph.output[0].CopyFrom(helper.make_empty_tensor_value_info("scores"))
    model = shapes.infer(model)
    explicit = onnx.ModelProto()
    explicit.CopyFrom(model)
    convolution.explicit_pads(explicit)
    assert all(a.name != "auto_pad" for a in explicit.graph.node[0].attribute)
    x = {"image": normal(1, 4, size, size)}
    expected, found = (shapes_run(m, x) for m in (model, explicit))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def shapes_run(model, feeds):
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, feeds)[0])


@pytest.mark.parametrize("pinned", [1, 2])
@pytest.mark.parametrize("count", [1, 4, 5])
def test_a_pinned_batch_is_widened(graph_of, pinned, count):
    nodes = [node("Reshape", ["image", "shape"], ["r"]), node("Concat", ["r", "token"], ["c"], axis=1),
             node("Flatten", ["c"], ["flat"]), node("MatMul", ["flat", "v"], ["scores"])]  # fmt: skip
    token = np.repeat(normal(1, 1, 16), pinned, axis=0)
    v = normal(5 * 16, 2)
    constants = {"shape": np.array([pinned, 4, 16]), "token": token, "v": v}
    model = graph_of(nodes, constants, [pinned, 4, 4, 4], 2)

    def function(t):
        repeated = torch.from_numpy(token[:1]).double().expand(len(t), -1, -1)
        return torch.cat([t.reshape(-1, 4, 16), repeated], 1).flatten(1) @ torch.from_numpy(v).double()

    close(model, function, normal(count, 4, 4, 4))


def test_a_batch_that_cannot_be_widened_is_run_piece_by_piece(graph_of):
    """Each image is compared with the mean of its batch, so the batch size changes the scores."""
    nodes = [node("ReduceMean", ["image", "zero"], ["m"], keepdims=1), node("Sub", ["image", "m"], ["d"]),
             node("Add", ["d", "image"], ["e"]), *tail("e")]  # fmt: skip
    model = graph_of(nodes, {"w": W, "zero": np.array([0])}, [1, 4, 4, 4], 2)
    close(model, score, normal(3, 4, 4, 4))


def test_a_flat_input_and_another_name(graph_of):
    model = graph_of([node("MatMul", ["image", "w"], ["scores"])], {"w": W}, ["N", 64], 2)
    model.graph.input[0].name = "pixels"
    model.graph.node[0].input[0] = "pixels"
    close(model, score, normal(3, 64))


def test_outputs_that_are_not_needed_cost_nothing():
    model = to_onnx(network("label"))
    names = {n.op_type for n in InputGradient(model, "smooth-l1").graph((2, 3, 32, 32)).graph.node}
    assert "ConvTranspose" in names
    only = InputGradient(to_onnx(network("resnet")), "cross-entropy").graph((2, 3, 32, 32))
    assert {o.name for o in only.graph.output} == {"scores", "vivavoce_loss", "vivavoce_gradient"}


def test_batch_size_does_not_depend_on_the_order_of_calls():
    images = rng.random((6, 3, 32, 32), dtype=np.float32)
    goals = np.arange(6)
    first = InputGradient(to_onnx(network("resnet")), "cross-entropy", threads=2)
    truth = torch_gradient(network("resnet"), "cross-entropy", images, goals)
    for part in (slice(0, 4), slice(0, 3), slice(0, 6), slice(2, 3)):
        found = first(images[part], goals[part])[1]
        exact = truth.gradient[part]
        assert np.abs(found - exact).max() <= 1e-3 * np.abs(exact).max()


@pytest.mark.parametrize("size", [[10**5, 10**5], [10**10]])
def test_a_value_that_is_far_too_large_is_refused_before_it_is_made(graph_of, size):
    """Even where the size is computed, and the sum over the value is a single number."""
    nodes = [node("Mul", ["size", "one"], ["shape"]), node("ConstantOfShape", ["shape"], ["huge"]),
             node("ReduceSum", ["huge"], ["zero"], keepdims=0), node("Add", ["image", "zero"], ["t"]),
             *tail("t")]  # fmt: skip
    constants = {"w": W, "size": np.array(size), "one": np.array([1])}
    with pytest.raises(VivavoceError, match=r"`huge` takes 40\.0 GB"):
        InputGradient(graph_of(nodes, constants, ["N", 4, 4, 4], 2), "margin")


def test_constants_are_found_in_graphs_deeper_than_the_stack(graph_of):
    nodes = [node("Neg", [f"v{k}" if k else "image"], [f"v{k + 1}"]) for k in range(1500)]
    nodes += [node("Neg", [f"c{k}" if k else "c"], [f"c{k + 1}"]) for k in range(1500)]
    model = graph_of([*nodes, *tail("v1500")], {"w": W, "c": np.ones(3, np.float32)}, ["N", 4, 4, 4], 2)
    graph = Graph(model)
    assert graph.array("v1500") is None
    held = graph.array("c1499")
    assert held is not None
    assert held.tolist() == [-1, -1, -1]
