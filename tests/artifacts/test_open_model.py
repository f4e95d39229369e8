import pickle

import numpy as np
import pytest
from onnx import helper, numpy_helper
from onnx.external_data_helper import set_external_data

from vivavoce.artifacts import Preprocessing, open_model, shipped_models
from vivavoce.errors import VivavoceError


class Canary:
    """Unpickling this writes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_shipped_models_open_by_name():
    assert {"digits-category", "digits-speech"} <= set(shipped_models())
    model = open_model("digits-speech")
    outputs = model.answer(np.zeros((3, 3, 32, 32), np.float32))
    assert outputs.scores.shape == (3, 10)
    assert outputs.label is not None
    assert outputs.label.shape == (3, 64, 64)
    assert outputs.loss is not None
    assert outputs.loss.shape == (3, 10)
    assert model.bank is not None
    assert model.bank.shape == (10, 64, 64)
    assert model.manifest.spoken[7] == "seven"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.onnx", None, "no such model"),
        ("empty.onnx", b"", "empty"),
        ("text.onnx", b"This is a text, not a model.\n" * 20, "not an? .*ONNX model"),
        ("model.h5", b"x", "unsupported model format"),
        ("model.ort", b"x", "give the .onnx file that it was made from"),
        ("text.pt", b"some text", "not a TorchScript file"),
    ],
)
def test_files_that_are_no_models(name, content, message, tmp_path):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(VivavoceError, match=message):
        open_model(path)


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.99])
def test_a_truncated_model_is_refused(keep, tmp_path):
    whole = open_model("digits-category").path.read_bytes()
    path = tmp_path / "cut.onnx"
    path.write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(VivavoceError, match=r"cut\.onnx"):
        open_model(path).answer(np.zeros((1, 3, 32, 32), np.float32))


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(VivavoceError, match="export it first"):
        open_model(tmp_path)


def test_nothing_is_unpickled(tmp_path):
    import torch

    canary = tmp_path / "sang"
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Canary(canary)))
    torch.save({"model": Canary(canary)}, tmp_path / "saved.pt")
    for name in ("plain.pt", "saved.pt"):
        with pytest.raises(VivavoceError, match="never loaded"):
            open_model(tmp_path / name)
    (tmp_path / "plain.pt2").write_bytes(pickle.dumps(Canary(canary)))
    torch.save({"model": Canary(canary)}, tmp_path / "saved.pt2")
    for name in ("plain.pt2", "saved.pt2"):
        with pytest.raises(VivavoceError, match="--trust-model"):
            open_model(tmp_path / name)
    assert not canary.exists()


def test_preprocessing_options_do_not_fit_a_file_with_a_manifest():
    with pytest.raises(VivavoceError, match="manifest already says"):
        open_model("digits-speech", Preprocessing(scale=255.0))


@pytest.mark.parametrize(
    ("location", "trouble"),
    [
        ("weights.bin", None),
        ("../outside.bin", "outside the directory"),
        ("{outside}", "absolute path"),
        ("link.bin", "symbolic link"),
        ("gone.bin", "not regular file"),
    ],
)
def test_external_data_only_from_the_models_own_folder(location, trouble, tmp_path):
    folder, weights = tmp_path / "model", np.ones((48, 3), np.float32)
    folder.mkdir()
    for path in (tmp_path / "outside.bin", folder / "weights.bin"):
        path.write_bytes(weights.tobytes())
    (folder / "link.bin").symlink_to(tmp_path / "outside.bin")
    graph = helper.make_graph(
        [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", 1, ["N", 3, 4, 4])],
        [helper.make_tensor_value_info("y", 1, ["N", 3])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    stored = model.graph.initializer[0]
    set_external_data(stored, location=location.format(outside=tmp_path / "outside.bin"))
    stored.ClearField("raw_data")
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    if trouble is None:
        images = np.full((2, 3, 4, 4), 0.5, np.float32)
        np.testing.assert_allclose(open_model(path).answer(images).scores, 24)
    else:
        with pytest.raises(VivavoceError, match=trouble):
            open_model(path)
