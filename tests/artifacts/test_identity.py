"""Which model a file is, over all its files."""

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from vivavoce.artifacts import Preprocessing, open_model
from vivavoce.artifacts.identity import Identity, answers_digest, files_of, identify
from vivavoce.errors import VivavoceError
from vivavoce.files import sha256_of


def external(name: str, location: str, values: np.ndarray, folder: Path | None = None) -> TensorProto:
    """A tensor whose data are in a file of their own; the file is written where a folder is given."""
    tensor = numpy_helper.from_array(values, name)
    if folder is not None:
        (folder / location).parent.mkdir(exist_ok=True)
        (folder / location).write_bytes(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


def classifier(path: Path, weights: TensorProto, *more: onnx.NodeProto) -> Path:
    images = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 4, 4])
    scores = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 5])
    nodes = [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["y"]), *more]
    graph = helper.make_graph(nodes, "g", [images], [scores], [weights])
    path.write_bytes(helper.make_model(graph, ir_version=9).SerializeToString())
    return path


@pytest.fixture
def weights():
    return np.random.default_rng(0).normal(size=(48, 5)).astype("f4")


@pytest.fixture
def two_files(tmp_path, weights):
    return classifier(tmp_path / "m.onnx", external("w", "m.onnx.data", weights, tmp_path))


def test_a_model_in_one_file_has_the_digest_of_that_file():
    path = open_model("digits-category").path
    content = path.read_bytes()
    assert identify(path) == Identity(hashlib.sha256(content).hexdigest(), len(content))


def test_external_data_count(two_files):
    data = two_files.with_name("m.onnx.data")
    assert files_of(two_files) == [two_files, data]
    before = identify(two_files)
    lines = f"{sha256_of([two_files])}\n{sha256_of([data])}\n"
    assert before.sha256 == hashlib.sha256(lines.encode()).hexdigest()
    assert before.bytes == two_files.stat().st_size + data.stat().st_size
    values = np.fromfile(data, "f4")
    values[7] += 1
    values.tofile(data)
    assert identify(two_files).sha256 != before.sha256


def test_data_are_found_wherever_a_tensor_can_be(tmp_path, weights):
    """In an attribute, a subgraph, a sparse initializer and a function, not only in initializers."""
    tensors = {n: external(n, f"parts/{n}.bin", weights, tmp_path) for n in ("attr", "deep", "func", "rare")}
    inner = helper.make_graph(
        [helper.make_node("Constant", [], ["c"], value=tensors["deep"])], "inner", [], [],
    )  # fmt: skip
    path = classifier(
        tmp_path / "m.onnx", numpy_helper.from_array(weights, "w"),
        helper.make_node("Constant", [], ["a"], value=tensors["attr"]),
        helper.make_node("If", ["never"], ["b"], then_branch=inner, else_branch=inner),
    )  # fmt: skip
    model = onnx.load(path, load_external_data=False)
    model.graph.sparse_initializer.add().values.CopyFrom(tensors["rare"])
    constant = helper.make_node("Constant", [], ["o"], value=tensors["func"])
    model.functions.append(helper.make_function("own", "F", [], ["o"], [constant], model.opset_import))
    path.write_bytes(model.SerializeToString())
    names = [file.name for file in files_of(path)]
    assert names == ["m.onnx", "attr.bin", "deep.bin", "func.bin", "rare.bin"]


@pytest.mark.parametrize("location", ["gone.bin", "../up.bin", "/dev/zero", "folder", "", "a\0b", "x" * 5000])
def test_data_that_cannot_be_read_are_one_line(location, tmp_path, weights):
    (tmp_path / "folder").mkdir()
    path = classifier(tmp_path / "m.onnx", external("w", location, weights))
    with pytest.raises(VivavoceError, match=r"m\.onnx: keeps weights in [^\n]*$"):
        files_of(path)


def test_the_digest_of_answers_covers_settings_beside_the_file(two_files):
    plain = answers_digest(open_model(two_files))
    assert answers_digest(open_model(two_files)) == plain
    assert answers_digest(open_model(two_files, Preprocessing(scale=255.0))) != plain
    settings = two_files.with_suffix(".toml")
    settings.write_text("scale = 2.0\n")
    assert answers_digest(open_model(two_files)) != plain
    names = two_files.with_name("names.txt")
    seen = set()
    for classes in ("abcde", "abced"):
        names.write_text("\n".join(classes))
        seen.add(answers_digest(open_model(two_files, Preprocessing(classes=str(names)))))
    assert len(seen | {plain}) == 3


def test_a_file_is_read_once_until_it_changes(two_files, monkeypatch):
    loaded, load = [], onnx.load
    monkeypatch.setattr(onnx, "load", lambda *a, **k: loaded.append(a[0]) or load(*a, **k))
    before = [identify(two_files) for _ in range(2)]
    assert len(loaded) <= 1
    two_files.write_bytes(two_files.read_bytes() + b"\x32\x01x")  # a longer documentation string
    assert identify(two_files) != before[0]
    assert before[0] == before[1]
    assert len(loaded) <= 2
