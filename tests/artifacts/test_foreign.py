"""Models without a manifest, made here so that every oddity is known."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from vivavoce.artifacts import Preprocessing, open_model
from vivavoce.errors import VivavoceError

K, H, W = 4, 5, 6
WEIGHTS = np.random.default_rng(0).normal(0, 1, (3 * H * W, K)).astype(np.float32)
IMAGES = np.random.default_rng(1).random((3, 3, H, W), dtype=np.float32)


def save(path, shape, nodes_before=(), output="scores_", after=(), kind=TensorProto.FLOAT, rank=2):
    """A linear classifier on the flattened input, in whatever dress."""
    nodes = [
        *nodes_before,
        helper.make_node("Flatten", ["x" if not nodes_before else "x0"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["scores_"]),
        *after,
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, [shape[0], K][:rank])],
        [numpy_helper.from_array(WEIGHTS, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


def linear(x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), -1) @ WEIGHTS


@pytest.mark.parametrize("batch", ["N", 1, 2])
def test_plain_nchw_with_any_batch(batch, tmp_path):
    model = open_model(save(tmp_path / "m.onnx", [batch, 3, H, W]))
    assert model.manifest.input.height == H
    assert not model.named
    np.testing.assert_allclose(model.answer(IMAGES).scores, linear(IMAGES), rtol=1e-5, atol=1e-5)


def test_scale_mean_and_std(tmp_path):
    options = Preprocessing(scale=255.0, mean=(120.0, 110.0, 100.0), std=(50.0, 60.0, 70.0))
    model = open_model(save(tmp_path / "m.onnx", ["N", 3, H, W]), options)
    mean, std = (np.array(v, np.float32).reshape(1, 3, 1, 1) for v in (options.mean, options.std))
    expected = linear((IMAGES * 255 - mean) / std)
    np.testing.assert_allclose(model.answer(IMAGES).scores, expected, rtol=1e-4, atol=1e-3)
    assert model.manifest.input.std == pytest.approx((50 / 255, 60 / 255, 70 / 255))


def test_nhwc_is_seen_from_the_shape(tmp_path):
    model = open_model(save(tmp_path / "m.onnx", ["N", H, W, 3]))
    expected = linear(IMAGES.transpose(0, 2, 3, 1))
    np.testing.assert_allclose(model.answer(IMAGES).scores, expected, rtol=1e-5, atol=1e-5)


def test_bgr(tmp_path):
    model = open_model(save(tmp_path / "m.onnx", ["N", 3, H, W]), Preprocessing(channels="bgr"))
    np.testing.assert_allclose(model.answer(IMAGES).scores, linear(IMAGES[:, ::-1]), rtol=1e-5, atol=1e-5)


def test_flat_input(tmp_path):
    model = open_model(save(tmp_path / "m.onnx", ["N", 3 * H * W]), Preprocessing(size=(H, W)))
    np.testing.assert_allclose(model.answer(IMAGES).scores, linear(IMAGES), rtol=1e-5, atol=1e-5)


def test_a_final_softmax_is_bypassed(tmp_path):
    softmax = helper.make_node("Softmax", ["scores_"], ["p"], axis=1)
    model = open_model(save(tmp_path / "m.onnx", ["N", 3, H, W], output="p", after=[softmax]))
    np.testing.assert_allclose(model.answer(IMAGES).scores, linear(IMAGES), rtol=1e-5, atol=1e-5)


def test_settings_beside_the_file_and_options_over_them(tmp_path):
    save(tmp_path / "m.onnx", ["N", 3, H, W])
    (tmp_path / "names.txt").write_text("a\nb\nc\nd\n")
    (tmp_path / "m.toml").write_text('scale = 2.0\nmean = [1.0]\nclasses = "names.txt"\n')
    model = open_model(tmp_path / "m.onnx")
    assert model.manifest.classes == ("a", "b", "c", "d")
    np.testing.assert_allclose(model.answer(IMAGES).scores, linear(IMAGES * 2 - 1), rtol=1e-4, atol=1e-4)
    model = open_model(tmp_path / "m.onnx", Preprocessing(scale=3.0))
    np.testing.assert_allclose(model.answer(IMAGES).scores, linear(IMAGES * 3 - 1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [("scale = [", "m.toml"), ("scael = 1.0", "scael"), ('scale = "big"', r"\$.scale")],
)
def test_settings_that_are_wrong_are_named(settings, message, tmp_path):
    save(tmp_path / "m.onnx", ["N", 3, H, W])
    (tmp_path / "m.toml").write_text(settings)
    with pytest.raises(VivavoceError, match=message):
        open_model(tmp_path / "m.onnx")


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        (["N", 7, H, W], Preprocessing(), "7 channels"),
        (["N", 3, None, None], Preprocessing(), "--size"),
        (["N", 31], Preprocessing(), "--size"),
        (["N", 3, H, W], Preprocessing(mean=(1.0, 2.0)), "2 values of mean for 3 channels"),
        (["N", 3, H, W], Preprocessing(std=(0.0,)), "std must be positive"),
        (["N", 3, H, W], Preprocessing(output_name="y"), "no output 'y'"),
        (["N", 3, H, W], Preprocessing(classes="nowhere.txt"), "nowhere.txt"),
        (["N", 3, H, W], Preprocessing(size=(9, 9)), "takes 5x6 images"),
    ],
)
def test_inputs_that_need_an_answer(shape, options, message, tmp_path):
    with pytest.raises(VivavoceError, match=message):
        open_model(save(tmp_path / "m.onnx", shape), options)


@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_other_floats_are_converted_at_both_ends(kind, tmp_path):
    path = save(tmp_path / "m.onnx", ["N", 3, H, W])
    model = onnx.load(path)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(WEIGHTS.astype(kind), "w"))
    onnx.save(model, path)
    scores = open_model(path).answer(IMAGES).scores
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, linear(IMAGES), rtol=2e-2, atol=5e-2)


def test_nodes_out_of_order_and_names_of_ours(tmp_path):
    """A file that calls its own input `image` and its own output `scores`, with its nodes upside down."""
    model = onnx.load(save(tmp_path / "m.onnx", ["N", 3, H, W]))
    for node in model.graph.node:
        for names in (node.input, node.output):
            for k, name in enumerate(names):
                names[k] = {"x": "image", "scores_": "scores"}.get(name, name)
    model.graph.input[0].name, model.graph.output[0].name = "image", "scores"
    upside_down = list(model.graph.node)[::-1]
    copies = [onnx.NodeProto.FromString(n.SerializeToString()) for n in upside_down]
    del model.graph.node[:]
    model.graph.node.extend(copies)
    onnx.save(model, tmp_path / "m.onnx")
    scores = open_model(tmp_path / "m.onnx").answer(IMAGES).scores
    np.testing.assert_allclose(scores, linear(IMAGES), rtol=1e-5, atol=1e-5)
