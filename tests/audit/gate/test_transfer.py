"""`audit compare A B --transfer`: which examples of one model fool the other."""

import json

import numpy as np
import onnx
import pytest
from commands import inside
from onnx import TensorProto, helper, numpy_helper
from small import small_digits

from vivavoce.artifacts import open_model
from vivavoce.audit.cli import main
from vivavoce.audit.gate.transfer import transfer
from vivavoce.audit.plan import Settings
from vivavoce.audit.protocol import resolve


@pytest.fixture(scope="module")
def coarse(tmp_path_factory):
    """The small model on coarser pixels: another function of the same images."""
    return small_digits(tmp_path_factory.mktemp("coarse") / "coarse.onnx", shrink=4)


def linear(path, classes, channels, side):
    """A linear model without a manifest."""
    weight = np.random.default_rng(0).normal(size=(channels * side * side, classes)).astype(np.float32)
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes, "linear",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", channels, side, side])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", classes])],
        [numpy_helper.from_array(weight, "weight")],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)
    return path


def test_a_models_own_examples_all_fool_it(small):
    settings = Settings(protocol=resolve("standard", ["fgsm", "pgd"], [24 / 255]), limit=40)
    found = transfer(open_model(small), open_model(small), settings)
    assert [row.source for row in found.rows] == ["small.onnx"] * 2 + ["small.onnx (2)"] * 2
    assert all(row.passed == row.made > 0 for row in found.rows)


def test_the_examples_of_one_are_given_to_the_other(small, coarse, tmp_path):
    outputs = "-o t.json -o t.md -o t.csv"
    options = ["--transfer", "--limit", 60, "--epsilon", "12/255,48/255", *outputs.split()]
    done = inside(main, "compare", small, coarse, *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "t.json").read_text())
    assert found["both"] <= found["n"] == 60
    assert len(found["rows"]) == 8
    for row in found["rows"]:
        assert 0 <= row["passed"] <= row["made"] <= found["both"]
    smaller, larger = (
        sum(row["made"] for row in found["rows"] if row["size"] == size)
        for size in ("epsilon 12/255", "epsilon 48/255")
    )
    assert smaller < larger
    assert sum(row["passed"] for row in found["rows"]) < sum(row["made"] for row in found["rows"])
    assert found["summary"] in done.stdout.replace("\n", " ")
    assert (tmp_path / "t.md").read_text().count("| small.onnx |") == 8
    assert len((tmp_path / "t.csv").read_text().splitlines()) == 9


@pytest.mark.parametrize(
    ("classes", "channels", "side", "says"),
    [
        (7, 3, 32, "7 classes instead of 10"),
        (10, 3, 28, "images of 3 x 28 x 28 (channels x height x width) instead of 3 x 32 x 32"),
        (10, 1, 32, "images of 1 x 32 x 32 (channels x height x width) instead of 3 x 32 x 32"),
    ],
)
def test_models_that_do_not_fit_are_refused(classes, channels, side, says, small, tmp_path):
    other = linear(tmp_path / "other.onnx", classes, channels, side)
    done = inside(main, "compare", small, other, "--transfer", "--limit", 4, cwd=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["report.json", "{small}", "--transfer"], "needs two models, not reports"),
        (["{small}", "{small}", "--transfer", "-o", "a.png"], "--transfer writes .json, .md, .csv"),
        (["{small}", "{small}", "--transfer", "--protocol", "natural"], "--transfer needs attacks"),
    ],
)
def test_options_that_do_not_go_together_are_refused(arguments, says, small, tmp_path):
    done = inside(main, "compare", *(a.format(small=small) for a in arguments), cwd=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
