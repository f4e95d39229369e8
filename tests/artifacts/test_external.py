"""Weights outside an ONNX file: from its own folder alone, and not beyond their file's end."""

import numpy as np
import pytest
from onnx import helper, numpy_helper
from onnx.external_data_helper import set_external_data

from vivavoce.artifacts import open_model
from vivavoce.errors import VivavoceError


def save(path, location, **place):
    """A linear classifier whose weights, 48 x 5 float32, are elsewhere."""
    weights = numpy_helper.from_array(np.ones((48, 5), np.float32), "w")
    set_external_data(weights, location, **place)
    weights.ClearField("raw_data")
    nodes = [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["y"])]
    shapes = (("x", ["N", 3, 4, 4]), ("y", ["N", 5]))
    values = [helper.make_tensor_value_info(n, 1, s) for n, s in shapes]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture
def folder(tmp_path):
    """A folder for the model, beside it a file of others, and links to it."""
    inside = tmp_path / "model"
    inside.mkdir()
    for file in (tmp_path / "secret.bin", inside / "weights.bin"):
        file.write_bytes(np.ones(240, "<f4").tobytes())
    (inside / "link.bin").symlink_to(tmp_path / "secret.bin")
    (inside / "linked").symlink_to(tmp_path)
    return inside


def test_weights_in_the_files_own_folder_are_read(folder):
    assert open_model(save(folder / "m.onnx", "weights.bin")).answer(np.ones((1, 3, 4, 4), "f4")).scores[0, 0]


@pytest.mark.parametrize(
    ("location", "place"),
    [
        ("../secret.bin", {}),
        ("sub/../../secret.bin", {}),
        ("{above}/secret.bin", {}),
        ("link.bin", {}),
        ("linked/secret.bin", {}),
        ("nowhere.bin", {}),
        ("", {}),
        ("/dev/zero", {}),
        ("weights.bin", {"offset": 8, "length": 960}),
        ("weights.bin", {"offset": -8, "length": 960}),
        ("weights.bin", {"offset": 2**62}),
        ("weights.bin", {"length": 8}),
    ],
)
def test_weights_from_elsewhere_are_refused(location, place, folder):
    path = save(folder / "m.onnx", location.format(above=folder.parent), **place)
    with pytest.raises(VivavoceError, match=r"m\.onnx") as caught:
        open_model(path)
    assert "\n" not in str(caught.value)
