"""Preprocessing that Hugging Face, timm and ultralytics write next to a model or into it."""

import json

import numpy as np
import pytest
from PIL import Image

from vivavoce.artifacts import Preprocessing, open_model
from vivavoce.images import Fit

from .test_names import linear

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
PIXELS = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)


def scores_of(folder, **options) -> np.ndarray:
    model = open_model(folder / "m.onnx", Preprocessing(**options))
    fit = Fit.of(model.manifest.input)
    image = fit(Image.fromarray(PIXELS)).transpose(2, 0, 1)[None] / np.float32(255)
    return model.answer(image).scores


PROCESSORS = {
    "vit": (
        {"image_processor_type": "ViTImageProcessor", "do_normalize": True, "do_resize": True,
         "image_mean": MEAN, "image_std": STD, "do_rescale": True, "rescale_factor": 1 / 255,
         "resample": 2, "size": {"height": 4, "width": 4}},
        {"mean": MEAN, "std": STD, "size": (4, 4), "interpolation": "bilinear"},
    ),
    "cropped": (
        {"do_normalize": True, "image_mean": MEAN, "image_std": STD, "do_center_crop": True,
         "crop_size": {"height": 4, "width": 4}, "size": {"shortest_edge": 6}, "resample": 3},
        {"mean": MEAN, "std": STD, "resize": 6, "crop": 4, "interpolation": "bicubic"},
    ),
    "old numbers": (
        {"feature_extractor_type": "CLIPFeatureExtractor", "image_mean": MEAN, "image_std": STD,
         "do_center_crop": True, "crop_size": 4, "size": 5, "resample": 3},
        {"mean": MEAN, "std": STD, "resize": 5, "crop": 4, "interpolation": "bicubic"},
    ),
    "convnext": (
        {"image_processor_type": "ConvNextImageProcessor", "image_mean": MEAN, "image_std": STD,
         "size": {"shortest_edge": 4}, "crop_pct": 0.5, "resample": 3},
        {"mean": MEAN, "std": STD, "resize": 8, "crop": 4, "interpolation": "bicubic"},
    ),
    "bytes": (
        {"do_normalize": False, "do_rescale": False, "size": 4, "do_resize": True},
        {"scale": 255.0, "size": (4, 4)},
    ),
    "efficientnet": (
        {"image_processor_type": "EfficientNetImageProcessor", "do_normalize": True, "image_mean": MEAN,
         "image_std": STD, "rescale_offset": False, "include_top": True, "size": {"height": 4, "width": 4}},
        {"mean": MEAN, "std": tuple(s * s for s in STD)},
    ),
    "mobilevit": (
        {"image_processor_type": "MobileViTImageProcessor", "do_flip_channel_order": True, "do_rescale": True,
         "image_mean": MEAN, "image_std": STD, "do_center_crop": True, "do_resize": True,
         "crop_size": {"height": 4, "width": 4}, "size": {"shortest_edge": 5}, "resample": 2},
        {"channels": "bgr", "resize": 5, "crop": 4, "interpolation": "bilinear"},
    ),
    "pplcnet": (
        {"image_processor_type": "PPLCNetImageProcessor", "do_normalize": True, "image_mean": MEAN,
         "image_std": STD, "do_center_crop": True, "crop_size": {"height": 4, "width": 4}, "resize_short": 6,
         "size": {"height": 9, "width": 9}, "resample": 2},
        {"mean": MEAN, "std": STD, "channels": "bgr", "resize": 6, "crop": 4, "interpolation": "bilinear"},
    ),
    "deit": (
        {"image_processor_type": "DeiTImageProcessor", "do_normalize": True, "image_mean": MEAN,
         "image_std": STD, "do_center_crop": True, "crop_size": {"height": 4, "width": 4},
         "size": {"height": 7, "width": 7}, "resample": 3},
        {"mean": MEAN, "std": STD, "resize": 7, "crop": 4, "interpolation": "bicubic"},
    ),
    "levit": (
        {"image_processor_type": "LevitImageProcessor", "do_normalize": True, "image_mean": MEAN,
         "image_std": STD, "do_center_crop": True, "crop_size": {"height": 4, "width": 4},
         "size": {"shortest_edge": 14}, "resample": 3},
        {"mean": MEAN, "std": STD, "resize": 16, "crop": 4, "interpolation": "bicubic"},
    ),
    "poolformer": (
        {"image_processor_type": "PoolFormerImageProcessor", "do_normalize": True, "image_mean": MEAN,
         "image_std": STD, "do_center_crop": True, "crop_size": {"height": 4, "width": 4}, "crop_pct": 0.8,
         "size": {"shortest_edge": 8}, "resample": 3},
        {"mean": MEAN, "std": STD, "resize": 10, "crop": 4, "interpolation": "bicubic"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PROCESSORS)
def test_hugging_face(tmp_path, name, capsys):
    config, options = PROCESSORS[name]
    linear(tmp_path / "m.onnx")
    plain, wanted = scores_of(tmp_path), scores_of(tmp_path, **options)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(config))
    assert np.abs(plain - wanted).max() > 0.01
    np.testing.assert_allclose(scores_of(tmp_path), wanted, rtol=1e-5)
    assert "m.onnx: preprocessing from preprocessor_config.json: --" in capsys.readouterr().err


@pytest.mark.parametrize("nested", [True, False])
def test_timm(tmp_path, nested):
    own = {"mean": MEAN, "std": STD, "input_size": [3, 4, 4], "crop_pct": 0.9, "interpolation": "bicubic"}
    linear(tmp_path / "m.onnx")
    wanted = scores_of(tmp_path, mean=MEAN, std=STD, resize=4, crop=4, interpolation="bicubic")
    (tmp_path / "config.json").write_text(json.dumps({"pretrained_cfg": own} if nested else own))
    np.testing.assert_allclose(scores_of(tmp_path), wanted, rtol=1e-5)


def test_ultralytics(tmp_path):
    linear(tmp_path / "m.onnx")
    wanted = scores_of(tmp_path, resize=4, crop=4)
    linear(tmp_path / "m.onnx", {"author": "Ultralytics", "task": "classify", "imgsz": "[4, 4]"})
    np.testing.assert_allclose(scores_of(tmp_path), wanted, rtol=1e-5)


def test_options_come_first_and_are_not_mixed(tmp_path):
    linear(tmp_path / "m.onnx")
    wanted = scores_of(tmp_path, scale=255.0)
    config = {"do_normalize": True, "image_mean": MEAN, "image_std": STD}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(config))
    np.testing.assert_allclose(scores_of(tmp_path, scale=255.0), wanted, rtol=1e-5)
    (tmp_path / "m.toml").write_text("scale = 255.0\n")
    np.testing.assert_allclose(scores_of(tmp_path), wanted, rtol=1e-5)


@pytest.mark.parametrize(
    "config",
    [
        "[]", "{", '{"image_mean": "x", "do_normalize": true}', '{"do_normalize": true, "size": []}',
        '{"do_normalize": false, "size": {"shortest_edge": "x"}}', '"\\ud800"',
        '{"image_mean": [null], "do_rescale": true}', '{"mean": 1, "std": 1, "input_size": 3}',
        '{"mean": {}, "std": [], "input_size": [3, 4]}',
    ],
)  # fmt: skip
def test_what_cannot_be_understood_is_passed_over(tmp_path, config):
    linear(tmp_path / "m.onnx")
    wanted = scores_of(tmp_path)
    for name in ("preprocessor_config.json", "config.json"):
        (tmp_path / name).write_text(config)
    np.testing.assert_allclose(scores_of(tmp_path), wanted, rtol=1e-5)
