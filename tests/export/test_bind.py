"""Files of other origins, exported with their bank, fixed inputs and voice inside."""

import numpy as np
import onnx
import pytest
from commands import inside
from encoders import SIDE, WIDTH, images, save_bank, save_encoder
from onnx import TensorProto, helper, numpy_helper

from vivavoce.artifacts import Preprocessing, open_model
from vivavoce.artifacts.onnx_model import OnnxModel
from vivavoce.audit.gate.quantisation import quantise
from vivavoce.audit.grid import Grid
from vivavoce.audit.target import Target
from vivavoce.cli import main
from vivavoce.errors import VivavoceError
from vivavoce.gradient import InputGradient
from vivavoce.sound.playback import write_wav
from vivavoce.sound.speaking import says_names, sound_of

ROWS = np.random.default_rng(0).normal(size=(3, 2, WIDTH)).astype(np.float32)
CLASSES = ["cat", "dog", "cow"]


@pytest.fixture
def folder(tmp_path):
    save_encoder(tmp_path / "encoder.onnx")
    save_bank(tmp_path / "bank.npz", ROWS, CLASSES)
    (tmp_path / "names.txt").write_text("\n".join(CLASSES))
    (tmp_path / "wavs").mkdir()
    for k, name in enumerate(CLASSES):
        tone = np.sin(np.arange(6000 + 500 * k) * 0.1 * (k + 1)).astype(np.float32)
        write_wav(tmp_path / "wavs" / f"{name}.wav", tone, 22_050)
    return tmp_path


def joint(path):
    """Like CLIP: an image encoder and token embeddings of the texts, compared by their cosines."""
    draw = np.random.default_rng(1)
    held = {
        "w": draw.normal(size=(3 * SIDE * SIDE, WIDTH)),
        "tokens": draw.normal(size=(20, WIDTH)),
        "mean": np.full((1, 3, 1, 1), 0.45),
        "std": np.full((1, 3, 1, 1), 0.25),
        "scale": np.array(100.0),
    }
    nodes = [
        helper.make_node("Sub", ["pixel_values", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "std"], ["normal"]),
        helper.make_node("Flatten", ["normal"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["raw"]),
        helper.make_node("LpNormalization", ["raw"], ["image_embeds"], axis=1, p=2),
        helper.make_node("Gather", ["tokens", "input_ids"], ["words"]),
        helper.make_node("ReduceMean", ["words"], ["text"], axes=[1], keepdims=0),
        helper.make_node("LpNormalization", ["text"], ["text_embeds"], axis=1, p=2),
        helper.make_node("Transpose", ["text_embeds"], ["columns"], perm=[1, 0]),
        helper.make_node("MatMul", ["image_embeds", "columns"], ["cosines"]),
        helper.make_node("Mul", ["cosines", "scale"], ["logits_per_image"]),
    ]
    graph = helper.make_graph(
        nodes,
        "clip",
        [
            helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["N", 3, SIDE, SIDE]),
            helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["C", 4]),
        ],
        [
            helper.make_tensor_value_info("logits_per_image", TensorProto.FLOAT, ["N", "C"]),
            helper.make_tensor_value_info("image_embeds", TensorProto.FLOAT, ["N", WIDTH]),
        ],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in held.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


@pytest.mark.parametrize("pool", ["max", "mean"])
def test_an_encoder_and_its_bank_become_one_file(pool, folder):
    given = ("--bank", "bank.npz", "--metric", "cosine", "--threshold", "0.1", "--pool", pool)
    given = (*given, "--scale", "255", "--mean", "10,20,30", "--std", "50")
    done = inside(main, "export", "encoder.onnx", *given, "-o", "bound.onnx", cwd=folder)
    assert done.returncode == 0, done.stderr
    options = Preprocessing(
        bank=str(folder / "bank.npz"), metric="cosine", threshold=0.1, pool=pool, scale=255.0,
        mean=(10.0, 20.0, 30.0), std=(50.0,),
    )  # fmt: skip
    before, after = OnnxModel(folder / "encoder.onnx", options), OnnxModel(folder / "bound.onnx")
    assert after.understood is None
    assert after.manifest.classes == tuple(CLASSES)
    assert after.manifest.label == before.manifest.label
    assert after.manifest.decoding == before.manifest.decoding
    np.testing.assert_allclose(after.manifest.input.std, before.manifest.input.std, rtol=1e-5)
    pictures = images(4)
    for name in ("scores", "label", "loss"):
        one, other = (getattr(m.answer(pictures), name) for m in (before, after))
        np.testing.assert_allclose(one, other, atol=1e-6)
    slopes = [Target(m).gradient(pictures, np.array([0, 1, 2, 0]), "margin") for m in (before, after)]
    np.testing.assert_allclose(slopes[0], slopes[1], rtol=0, atol=1e-5)
    quantise(after, images(20), folder / "int8.onnx")
    held = onnx.load(folder / "int8.onnx").graph
    assert sum(node.op_type == "MatMul" for node in held.node) == 2
    small = open_model(folder / "int8.onnx")  # the bank and the distances to it stay in float
    np.testing.assert_array_equal(np.asarray(small.bank), np.asarray(after.bank))
    with pytest.raises(VivavoceError, match="take `score`"):
        InputGradient(after.graph, "smooth-l1")(pictures, np.zeros(4, int))
    refused = inside(main, "export", "bound.onnx", "-o", "again.onnx", cwd=folder)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)


def test_a_joint_file_becomes_a_classifier_of_images(folder):
    joint(folder / "clip.onnx")
    np.save(folder / "ids.npy", np.arange(12).reshape(3, 4))
    base = ("export", "clip.onnx", "-o", "bound.onnx", "--classes", "names.txt")
    refused = inside(main, *base, cwd=folder)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "--fix input_ids=FILE.npy" in refused.stderr
    done = inside(main, *base, "--fix", "input_ids=ids.npy", cwd=folder)
    assert done.returncode == 0, done.stderr
    bound = open_model(folder / "bound.onnx")
    assert bound.manifest.classes == tuple(CLASSES)
    np.testing.assert_allclose(bound.manifest.input.std, 0.25, rtol=1e-5)  # the file's own normalisation
    assert Target(bound).gradient_missing is None
    nameless = inside(main, *base[:4], "--fix", "input_ids=ids.npy", cwd=folder)
    assert (nameless.returncode, nameless.stderr.count("\n")) == (2, 1)
    assert "--classes" in nameless.stderr


def test_any_classifier_gets_a_voice(folder, small):
    names = [str(k) for k in range(10)]
    (folder / "ten.txt").write_text("\n".join(names))
    for k in range(10):
        tone = np.sin(np.arange(5000) * 0.02 * (k + 1)).astype(np.float32)
        write_wav(folder / "wavs" / f"{k}.wav", tone, 22_050)
    given = ("--speak", "--wavs", "wavs", "-o", "speaks.onnx")
    done = inside(main, "export", "digits-category", *given, cwd=folder)
    assert done.returncode == 0, done.stderr
    model = open_model(folder / "speaks.onnx")
    assert says_names(model)
    assert model.manifest.spoken[3] == "three"
    pixels = np.random.default_rng(0).random((2, 3, 32, 32), dtype=np.float32)
    own = open_model("digits-category").answer(pixels).scores
    np.testing.assert_array_equal(model.answer(pixels).scores, own)
    sound, rate = sound_of(model, 3, own[0], None)
    assert 0.15 < len(sound) / rate < 0.4
    assert np.abs(sound).max() > 0.1
    bank = ("--bank", "bank.npz")
    done = inside(main, "export", "encoder.onnx", *bank, *given[:3], "-o", "both.onnx", cwd=folder)
    assert done.returncode == 0, done.stderr
    both = open_model(folder / "both.onnx")
    assert says_names(both)
    assert both.manifest.schema == 3
    spoken = inside(main, "classify", "wavs", "--model", "both.onnx", cwd=folder)
    assert spoken.returncode == 2  # no images there, and no traceback


def test_whole_numbers_stay_whole(folder):
    model = onnx.load(folder / "encoder.onnx")
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    model.graph.node.insert(0, helper.make_node("Cast", ["x"], ["floats"], to=TensorProto.FLOAT))
    next(n for n in model.graph.node if n.op_type == "Flatten").input[0] = "floats"
    onnx.save(model, folder / "bytes.onnx")
    done = inside(main, "export", "bytes.onnx", "--bank", "bank.npz", "-o", "bound.onnx", cwd=folder)
    assert done.returncode == 0, done.stderr
    before = open_model(folder / "bytes.onnx", Preprocessing(bank=str(folder / "bank.npz")))
    grids = [Grid.of(m) for m in (before, open_model(folder / "bound.onnx"))]
    assert all(grid is not None for grid in grids)
    steps = [grid.step for grid in grids if grid]
    np.testing.assert_allclose(steps[0], steps[1], rtol=1e-5)


def test_what_cannot_be_exported_is_refused_in_one_line(folder):
    for arguments, message in (
        (("encoder.onnx", "-o", "b.onnx"), "--bank BANK.npz"),
        (("encoder.onnx", "--bank", "bank.npz", "-o", "b.pt"), "give --output b.onnx"),
        (
            ("encoder.onnx", "--bank", "bank.npz", "-o", "b.onnx", "--with-audio"),
            "--with-audio is for training runs",
        ),
        (("encoder.onnx", "--bank", "bank.npz", "-o", "b.onnx", "--voice", "rms"), "--voice needs --speak"),
        (("digits-speech", "-o", "b.onnx", "--speak"), "predicts the sounds of its classes itself"),
        (("nowhere", "-o", "b.onnx"), "no such model"),
        ((".", "-o", "b.onnx", "--speak"), "--speak is for models"),
    ):
        done = inside(main, "export", *arguments, cwd=folder)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert message in done.stderr
    assert isinstance(open_model("digits-category"), OnnxModel)
