"""Whether an int8 file is safe to ship: yes, no, or the images cannot tell."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from vivavoce.artifacts import open_model
from vivavoce.artifacts.onnx_model import OnnxModel
from vivavoce.audit import Limits
from vivavoce.audit.gate.comparison import compare_reports
from vivavoce.audit.gate.quantisation import quantise, shipping
from vivavoce.audit.statistics import largest_drop


def score(lost: int, gained: int, n: int, drop: float) -> float:
    """Tango's statistic, its likelihood maximised by a search instead of a formula."""

    def loss(share):
        parts = [(lost, share + drop), (gained, share), (n - lost - gained, 1 - 2 * share - drop)]
        return -sum(count * np.log(max(p, 1e-300)) for count, p in parts if count)

    bounds = (max(0.0, -drop), (1 - drop) / 2)
    share = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
    return (lost - gained - n * drop) / np.sqrt(n * (2 * share + drop - drop * drop))


@pytest.mark.parametrize(
    ("lost", "gained", "n"), [(0, 0, 8), (0, 0, 1000), (3, 1, 100), (12, 2, 50), (5, 40, 360)]
)
def test_the_largest_drop_is_where_the_score_test_stops_rejecting(lost, gained, n):
    drop = largest_drop(lost, gained, n, 0.05)
    assert score(lost, gained, n, drop) == pytest.approx(norm.ppf(0.05), abs=2e-3)


def test_the_largest_drop_covers_the_truth():
    """In 95 of 100 samples the true drop is below it; allow for the score interval's own approximation."""
    draw = np.random.default_rng(0)
    for lost, gained in ((0.02, 0.01), (0.1, 0.05), (0.05, 0.05)):
        counts = draw.multinomial(200, [lost, gained, 1 - lost - gained], size=1000)
        above = [largest_drop(int(a), int(b), 200, 0.05) >= lost - gained for a, b, _ in counts]
        assert np.mean(above) > 0.92


def test_three_answers(shipped, lose):
    limits = Limits(max_drop=1.0)
    assert shipping(compare_reports(shipped, shipped, limits)).startswith("safe to ship")
    assert shipping(compare_reports(shipped, lose(shipped, 60), limits)) == "not safe to ship"
    unclear = compare_reports(shipped, lose(shipped, 4, row=1), limits)
    assert unclear.passed
    assert shipping(unclear).startswith("cannot tell")
    assert unclear.unsettled[0].name in unclear.to_json().decode().partition('"gate"')[0]
    assert shipping(compare_reports(shipped, shipped, Limits(max_drop=0.1))).startswith("cannot tell")


def saved(path, name, beside):
    """A small convolution with an input of that name; `beside` keeps its weights in a file of their own."""
    draw = np.random.default_rng(0)
    arrays = {"w": draw.normal(size=(8, 3, 3, 3)), "v": draw.normal(size=(8, 10))}
    tensors = [numpy_helper.from_array(a.astype("f4"), n) for n, a in arrays.items()]
    nodes = [
        helper.make_node("Conv", [name, "w"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("GlobalAveragePool", ["b"], ["c"]), helper.make_node("Flatten", ["c"], ["d"]),
        helper.make_node("MatMul", ["d", "v"], ["z"]),
    ]  # fmt: skip
    images = helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 3, 16, 16])
    scores = helper.make_tensor_value_info("z", TensorProto.FLOAT, ["N", 10])
    graph = helper.make_graph(nodes, "g", [images], [scores], tensors)
    model = helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 17)])
    onnx.save(model, path, save_as_external_data=beside, location=f"{path.name}.data", size_threshold=0)


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("name", ["image", "scores", "x"])
def test_any_name_of_the_input_and_weights_beside_the_file(name, beside, tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    saved(tmp_path / "here" / "m.onnx", name, beside)
    model = open_model(tmp_path / "here" / "m.onnx")
    assert isinstance(model, OnnxModel)
    images = np.random.default_rng(1).random((32, 3, 16, 16), np.float32)
    small = tmp_path / "there" / "small.onnx"
    quantise(model, images, small)
    assert [file.name for file in (tmp_path / "there").iterdir()] == ["small.onnx"], "one file holds it all"
    assert any(node.op_type == "QuantizeLinear" for node in onnx.load(small).graph.node)
    exact, rough = model.answer(images).scores, open_model(small).answer(images).scores
    assert np.abs(rough - exact).max() < 0.05 * np.abs(exact).max()
