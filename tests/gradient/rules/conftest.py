"""What the tests of the rules share: one-node models, and two independent ways to their gradients."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from vivavoce.gradient.graph import Graph
from vivavoce.gradient.preparation import shapes
from vivavoce.gradient.reverse import differentiate


@dataclass
class OneNode:
    """A model of one node, y = f(inputs), and the loss sum(weight * y) over its first output."""

    operator: str
    inputs: Mapping[str, np.ndarray | None]
    """By name, in order; None where omitted. Those called x... are differentiated, the others constant."""
    attributes: dict = field(default_factory=dict)
    opset: int = 18
    outputs: int = 1
    domain: str = ""

    @property
    def free(self) -> dict[str, np.ndarray]:
        return {k: v for k, v in self.inputs.items() if k.startswith("x") and v is not None}

    def model(self, dtype: type = np.float32) -> onnx.ModelProto:
        constants = {k: v for k, v in self.inputs.items() if v is not None and k not in self.free}
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        names = [k if v is not None else "" for k, v in self.inputs.items()]
        outputs = ["y", *(f"y{k}" for k in range(1, self.outputs))]
        graph = helper.make_graph(
            [helper.make_node(self.operator, names, outputs, "node", domain=self.domain, **self.attributes)],
            "one",
            [helper.make_tensor_value_info(k, kind, v.shape) for k, v in self.free.items()],
            [helper.make_tensor_value_info("y", kind, None)],
            [numpy_helper.from_array(_typed(v, dtype), k) for k, v in constants.items()],
        )
        opsets = [helper.make_opsetid("", self.opset)]
        if self.domain:
            opsets.append(helper.make_opsetid(self.domain, 1))
        return shapes.infer(helper.make_model(graph, opset_imports=opsets, ir_version=8))

    def feeds(self, dtype: type = np.float32) -> dict[str, np.ndarray]:
        return {k: v.astype(dtype) for k, v in self.free.items()}


def _typed(array: np.ndarray, dtype: type) -> np.ndarray:
    return array.astype(dtype) if array.dtype.kind == "f" else array


def run(model: onnx.ModelProto, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Run a model on onnxruntime as it is."""
    return [np.asarray(array) for array in session(model).run(None, dict(feeds))]


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """Load a model with one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def weights_for(shape: tuple[int, ...]) -> np.ndarray:
    """Weights of the outputs in the loss."""
    return np.random.default_rng(7).standard_normal(shape).astype(np.float32)


def by_rules(case: OneNode, **options: Any) -> dict[str, np.ndarray]:
    """Gradient of sum(weight * y) by the rules, by input name."""
    found = {}
    for name in case.free:
        graph = Graph(case.model(), **options)
        y = graph.value("y")
        loss = (y * graph.constant(weights_for(y.shape))).sum(range(y.rank), keepdims=False).reshape(1)
        gradient = differentiate(graph, loss, name)
        assert gradient.shape == case.free[name].shape
        found[name] = run(graph.model({"gradient": gradient}), case.feeds())[0]
    return found


def by_differences(case: OneNode, h: float = 1e-5) -> dict[str, np.ndarray]:
    """The same by central differences in float64, through onnx's reference implementation."""
    evaluator = ReferenceEvaluator(case.model(np.float64))
    feeds = case.feeds(np.float64)

    def loss() -> float:
        y = np.asarray(next(iter(evaluator.run(None, feeds))), np.float64)
        return float((y * weights_for(y.shape)).sum())

    found = {}
    for name, array in feeds.items():
        gradient = np.zeros(array.shape)
        for index in np.ndindex(*array.shape):
            kept = array[index]
            array[index] = kept + h
            above = loss()
            array[index] = kept - h
            gradient[index] = (above - loss()) / (2 * h)
            array[index] = kept
        found[name] = gradient
    return found


def by_onnx_ad(case: OneNode) -> dict[str, np.ndarray]:
    """The same by onnx-ad; empty where it has no rule."""
    import onnx_ad

    try:
        model = onnx_ad.reverse(case.model(), inputs=list(case.free), outputs=["y"], layout="onnx")
        names = [output.name for output in model.graph.output]
        shape = run(case.model(), case.feeds())[0].shape
        results = run(model, case.feeds() | {"adj_y": weights_for(shape)[..., None]})
        return {k: dict(zip(names, results, strict=True))[f"adj_{k}"][..., 0] for k in case.free}
    except onnx_ad.UnsupportedOperator:
        return {}


@pytest.fixture(name="run")
def run_fixture() -> Callable[..., list[np.ndarray]]:
    return run


@pytest.fixture
def check_rule() -> Callable[..., None]:
    """Compare a rule's gradient with central differences (or a given float64 reference) and with onnx-ad."""

    def check(
        operator: str,
        inputs: Mapping[str, np.ndarray | None],
        attributes: dict | None = None,
        reference: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]] | None = None,
        tolerance: float = 2e-5,
        second_opinion: bool = True,
        **options: Any,
    ) -> None:
        case = OneNode(operator, inputs, attributes or {}, **options)
        found = by_rules(case)
        expected = reference(case.feeds(np.float64)) if reference else by_differences(case)
        opinion = by_onnx_ad(case) if second_opinion else {}
        for name, gradient in found.items():
            size = np.abs(expected[name]).max() + 1e-12
            assert np.abs(gradient - expected[name]).max() <= tolerance * size, f"{operator}: d{name}"
            if name in opinion:
                assert np.abs(gradient - opinion[name]).max() <= 1e-4 * size, f"{operator}: d{name}, onnx-ad"

    return check


@pytest.fixture
def check_linear() -> Callable[..., None]:
    """Compare the gradient of a linear (or affine) operator with its own response to single entries."""

    def check(
        operator: str, inputs: Mapping[str, np.ndarray | None], attributes: dict, opset: int = 18
    ) -> None:
        case = OneNode(operator, inputs, attributes, opset)
        loaded, zero = session(case.model()), np.zeros_like(case.free["x"])
        nothing = np.asarray(loaded.run(None, {"x": zero})[0])
        expected = np.zeros(zero.shape)
        for index in np.ndindex(*zero.shape):
            single = zero.copy()
            single[index] = 1
            expected[index] = (
                (np.asarray(loaded.run(None, {"x": single})[0]) - nothing) * weights_for(nothing.shape)
            ).sum()
        found = by_rules(case)["x"]
        assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()

    return check


@pytest.fixture
def gradients_of() -> Callable[..., dict[str, np.ndarray]]:
    """Gradients by the rules alone: `gradients_of(operator, inputs, attributes, straight_through=True)`."""

    def gradients(operator: str, inputs: Mapping[str, np.ndarray | None], attributes: dict | None = None,
                  straight_through: bool = False, **options: Any) -> dict[str, np.ndarray]:  # fmt: skip
        case = OneNode(operator, inputs, attributes or {}, **options)
        return by_rules(case, straight_through=straight_through)

    return gradients
