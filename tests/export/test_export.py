"""Runs whose weights are kept as fixtures, exported and compared."""

import numpy as np
import onnx
import pytest
import torch

from vivavoce.artifacts import open_model
from vivavoce.errors import VivavoceError
from vivavoce.export.build import export_run
from vivavoce.export.parity import compare, parity_images
from vivavoce.gradient import open_gradient
from vivavoce.train.model import Contract
from vivavoce.train.run import load_trained


@pytest.fixture(
    scope="module", params=["digits-speech", pytest.param("digits-category", marks=pytest.mark.full)]
)
def name(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def files(name, runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp(name)
    paths = {suffix: folder / f"model{suffix}" for suffix in (".onnx", ".pt", ".pt2")}
    parities = {suffix: export_run(runs / name, path)[1] for suffix, path in paths.items()}
    return paths, parities


def test_parity_is_measured_and_stored(files):
    paths, parities = files
    for suffix, path in paths.items():
        training = open_model(path, trust=True).manifest.training
        assert training is not None
        assert training.parity["images"] == 360
        assert parities[suffix].difference <= 1e-4
        assert training.parity["decisions"] == 1


def test_open_gradient_takes_both_formats(files):
    images = np.random.default_rng(0).random((2, 3, 32, 32), dtype=np.float32)
    goals = np.array([1, 2])
    ours = open_gradient(files[0][".onnx"], "score")(images, goals)
    theirs = open_gradient(files[0][".pt"], "score")(images, goals)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * np.abs(b).max())
    with pytest.raises(VivavoceError, match="need an ONNX model"):
        open_gradient(files[0][".pt"], "score", of="relu")


def test_the_shipped_model_is_this_run(name, files):
    images = np.random.default_rng(0).random((8, 3, 32, 32), dtype=np.float32)
    fresh, shipped = open_model(files[0][".onnx"]), open_model(name)
    np.testing.assert_array_equal(fresh.answer(images).scores, shipped.answer(images).scores)
    assert fresh.manifest.label == shipped.manifest.label


def test_any_batch_and_all_formats_answer_alike(files):
    onnx_file = open_model(files[0][".onnx"])
    images = np.random.default_rng(0).random((7, 3, 32, 32), dtype=np.float32)
    for n, suffix in ((1, ".pt"), (7, ".pt"), (1, ".pt2"), (7, ".pt2")):
        a, b = onnx_file.answer(images[:n]), open_model(files[0][suffix], trust=True).answer(images[:n])
        np.testing.assert_allclose(a.scores, b.scores, rtol=1e-4, atol=1e-4)
        if a.loss is not None and b.loss is not None:
            np.testing.assert_allclose(a.loss, b.loss, rtol=1e-4, atol=1e-4)


def test_outputs_stand_in_the_order_of_the_contract(name, files):
    graph = onnx.load(files[0][".onnx"]).graph
    wanted = ["scores", "label", "loss"] if "speech" in name else ["scores"]
    assert [o.name for o in graph.output] == wanted
    assert [i.name for i in graph.input] == ["image"]
    banks = [list(t.dims) for t in graph.initializer if t.name == "label_bank"]
    assert banks == ([[10, 64, 64]] if "speech" in name else [])


def test_a_file_carries_no_path_of_the_machine(files, runs):
    for path in files[0].values():
        content = path.read_bytes()
        assert b"site-packages" not in content
        assert str(runs).encode() not in content


def test_disagreement_is_refused(name, runs):
    _, bank, model, _ = load_trained(runs / name)
    with torch.no_grad():
        next(model.head.parameters()).add_(0.5)
    images = np.random.default_rng(0).random((256, 3, 32, 32), dtype=np.float32)
    with pytest.raises(VivavoceError, match="does not answer"):
        compare(open_model(name), Contract(model, bank), images)


def test_parity_images_are_filled_up():
    few = np.random.default_rng(0).integers(0, 256, (3, 3, 4, 4)).astype(np.uint8)
    images = parity_images(few, 0)
    assert images.shape == (256, 3, 4, 4)
    assert images.min() >= 0
    assert images.max() <= 1
    assert len(np.unique(images.reshape(256, -1), axis=0)) == 256


@pytest.mark.parametrize(("output", "message"), [("m.h5", "exports are"), ("no/m.onnx", "no such folder")])
def test_outputs_that_cannot_be_written(output, message, runs, tmp_path):
    with pytest.raises(VivavoceError, match=message):
        export_run(runs / "digits-speech", tmp_path / output)
