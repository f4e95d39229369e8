"""Files that declare more than they hold, and manifests that their graphs contradict."""

import json

import numpy as np
import onnx
import pytest
import torch
from breaking import changed
from commands import finish, vivavoce
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import set_external_data

from vivavoce.artifacts import open_model
from vivavoce.artifacts.manifest import TORCHSCRIPT_FILE
from vivavoce.errors import VivavoceError
from vivavoce.export.build import export_run


def linear(path, image=("N", 3, 4, 4), classes=5, before=(), more=(), change=lambda graph: None):
    """A linear classifier, with nodes before it, as a file."""
    weights = numpy_helper.from_array(np.ones((48, 5), np.float32), "w")
    last = before[-1].output[0] if before else "x"
    nodes = [
        *before,
        helper.make_node("Flatten", [last], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["y"]),
    ]
    values = [helper.make_tensor_value_info(n, 1, s) for n, s in (("x", image), ("y", ["N", classes]))]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], [weights, *more])
    change(graph)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def constant(name, value, kind: type = np.float32):
    return numpy_helper.from_array(np.array(value, kind), name)


def larger_dims(graph):
    graph.initializer[0].dims[0] = 2**40


def outside(**place):
    def change(graph):
        set_external_data(graph.initializer[0], "weights.bin", **place)
        graph.initializer[0].ClearField("raw_data")

    return change


EXPAND = [helper.make_node("Expand", ["x", "s"], ["big"])]
FILLED = [helper.make_node("ConstantOfShape", ["s"], ["c"]), helper.make_node("ReduceMax", ["c"], ["m"]),
          helper.make_node("Add", ["x", "m"], ["a"])]  # fmt: skip


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"classes": 2**40}, "'y' declares the dimensions"),
        ({"image": ("N", 3, 200_000, 200_000)}, "'x' declares the dimensions"),
        ({"image": ("N", 10**8)}, "'x' declares the dimensions"),
        ({"change": larger_dims}, "holds a different number of entries"),
        ({"change": outside(offset=0, length=10**12)}, "do not belong together"),
        ({"change": outside(offset=900, length=960)}, "do not belong together"),
        (
            {
                "image": ("N", 3, 1, 1),
                "before": EXPAND,
                "more": [constant("s", [1, 3, 40_000, 40_000], np.int64)],
            },
            "would have",
        ),
        ({"before": FILLED, "more": [constant("s", [2**40], np.int64)]}, "would have"),
    ],
)
def test_what_a_file_declares_is_bounded(parts, message, tmp_path):
    (tmp_path / "weights.bin").write_bytes(bytes(1000))
    with pytest.raises(VivavoceError, match=message) as caught:
        open_model(linear(tmp_path / "m.onnx", **parts))
    assert "m.onnx" in str(caught.value)
    assert "\n" not in str(caught.value)


def with_manifest(name, path, change, graph=lambda graph: None):
    model = onnx.load(changed(name, path, graph))
    entry = next(e for e in model.metadata_props if e.key == "vivavoce")
    about = json.loads(entry.value)
    change(about)
    entry.value = json.dumps(about)
    onnx.save(model, path)
    return path


def tiny_std(about):
    about["input"]["std"] = [1e-5] * 3


def as_multiplication(graph):
    """The same normalisation, written as x * (1 / std) + (-mean / std) on the last axis."""
    first, second, layer = graph.node[:3]
    held = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    mean, std = held[first.input[1]].ravel(), held[second.input[1]].ravel()
    graph.initializer.extend([constant("gain", 1 / std), constant("offset", -mean / std)])
    made = [("Transpose", ["image"], {"perm": [0, 2, 3, 1]}), ("Mul", ["t0", "gain"], {}),
            ("Add", ["t1", "offset"], {}), ("Transpose", ["t2"], {"perm": [0, 3, 1, 2]})]  # fmt: skip
    nodes = [helper.make_node(o, i, [f"t{k}"], **a) for k, (o, i, a) in enumerate(made)]
    layer.input[0] = "t3"
    rest = [onnx.NodeProto.FromString(n.SerializeToString()) for n in graph.node[2:]]
    del graph.node[:]
    graph.node.extend([*nodes, *rest])


def left_out(graph):
    graph.node[2].input[0] = "image"


@pytest.mark.parametrize("write", [lambda graph: None, as_multiplication])
def test_the_manifests_std_is_the_graphs_or_the_file_is_refused(write, tmp_path):
    model = open_model(with_manifest("digits-category", tmp_path / "m.onnx", lambda about: None, write))
    assert model.normalisation is not None
    assert model.normalisation.gain == pytest.approx([1 / s for s in model.manifest.input.std], rel=1e-5)
    with pytest.raises(VivavoceError, match=r"its graph divides by 0\.376"):
        open_model(with_manifest("digits-category", tmp_path / "tiny.onnx", tiny_std, write))


def test_a_normalisation_that_cannot_be_read(tmp_path):
    model = open_model(with_manifest("digits-category", tmp_path / "m.onnx", lambda about: None, left_out))
    assert model.normalisation is None
    _, said = finish(vivavoce("audit", "inspect", tmp_path / "m.onnx"))
    assert "as its manifest says (the file shows no such step" in " ".join(said.split())
    with pytest.raises(VivavoceError, match="shows no such normalisation"):
        open_model(with_manifest("digits-category", tmp_path / "tiny.onnx", tiny_std, left_out))


def test_a_tiny_std_ends_an_audit(tmp_path):
    path = with_manifest("digits-category", tmp_path / "tiny.onnx", tiny_std)
    status, said = finish(vivavoce("audit", "robustness", path, "--limit", 4))
    assert status == 2
    assert "but its graph divides by" in said
    assert len(said.strip().splitlines()) == 1


def test_a_bank_that_is_not_the_manifests_is_refused(tmp_path):
    def change(graph):
        bank = next(t for t in graph.initializer if t.name == "label_bank")
        array = numpy_helper.to_array(bank).copy()
        array[0, 0, 0] += 1
        bank.CopyFrom(numpy_helper.from_array(array, "label_bank"))

    with pytest.raises(VivavoceError, match="digest"):
        open_model(changed("digits-speech", tmp_path / "m.onnx", change))


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [("height", 64, "'image' has the dimensions"), ("channels", 1, "mean: needs one value per channel")],
)
def test_dimensions_that_are_not_the_manifests_are_refused(part, value, message, tmp_path):
    def change(about):
        about["input"][part] = value

    with pytest.raises(VivavoceError, match=message):
        open_model(with_manifest("digits-category", tmp_path / "m.onnx", change))


def test_an_image_that_is_a_sequence_is_refused(tmp_path):
    def change(graph):
        graph.input[0].type.sequence_type.elem_type.tensor_type.elem_type = TensorProto.FLOAT

    with pytest.raises(VivavoceError, match="'image'"):
        open_model(changed("digits-category", tmp_path / "m.onnx", change))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch deprecates TorchScript
@pytest.mark.parametrize(("factor", "opens"), [(1, True), (0.5, False), (2, False)])
def test_the_manifests_std_is_that_of_a_torchscript_file_or_it_is_refused(factor, opens, runs, tmp_path):
    export_run(runs / "digits-category", tmp_path / "m.pt")
    extra = {TORCHSCRIPT_FILE: ""}
    module = torch.jit.load(tmp_path / "m.pt", _extra_files=extra)
    manifest = json.loads(extra[TORCHSCRIPT_FILE])
    manifest["input"]["std"] = [factor * s for s in manifest["input"]["std"]]
    module.save(str(tmp_path / "m.pt"), _extra_files={TORCHSCRIPT_FILE: json.dumps(manifest)})
    if opens:
        assert open_model(tmp_path / "m.pt").manifest.input.std == tuple(manifest["input"]["std"])
    else:
        with pytest.raises(VivavoceError, match=r"its manifest says std .* but its graph divides by"):
            open_model(tmp_path / "m.pt")
