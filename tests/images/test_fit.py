"""Resizing and cropping, pixel for pixel as torchvision does it."""

import numpy as np
import pytest
from PIL import Image

from vivavoce.artifacts.onnx_model import OnnxModel
from vivavoce.artifacts.preprocessing import Preprocessing
from vivavoce.errors import VivavoceError
from vivavoce.images import Fit
from vivavoce.images.imageset import decode

SIZES = [
    (37, 53),
    (150, 100),
    (20, 11),
    (33, 32),
    (31, 32),
    (40, 200),
    (7, 90),
    (47, 33),
    (1, 1),
    (500, 3),
    (64, 65),
    (101, 99),
]
FITS = [(32, 32, 36), (24, 20, 28), (32, 32, 24), (31, 32, 0), (9, 50, 33), (32, 32, None)]
"""Height, width, resize: crops smaller and larger than what resizing leaves."""


@pytest.fixture(scope="module")
def noise() -> dict[tuple[int, int], Image.Image]:
    draw = np.random.default_rng(0)
    return {s: Image.fromarray(draw.integers(0, 256, (*s[::-1], 3)).astype(np.uint8)) for s in SIZES}


def torchvisions(image: Image.Image, fit: Fit) -> np.ndarray:
    transforms = pytest.importorskip("torchvision.transforms")
    how = transforms.InterpolationMode[fit.interpolation.upper()]
    size = (fit.height, fit.width)
    steps = [transforms.CenterCrop(size)] if fit.resize is not None else [transforms.Resize(size, how)]
    if fit.resize:
        steps.insert(0, transforms.Resize(fit.resize, how))
    return np.asarray(transforms.Compose(steps)(image)).reshape(*size, fit.channels)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("how", ["nearest", "bilinear", "bicubic", "lanczos"])
def test_the_pixels_are_torchvisions(how, size, noise):
    for height, width, resize in FITS:
        for channels in (1, 3):
            fit = Fit(height, width, channels, resize, how)
            image = noise[size] if channels == 3 else noise[size].convert("L")
            assert np.array_equal(fit(noise[size].copy()), torchvisions(image, fit)), fit


def test_transparency_is_gone_before_the_resize(noise):
    clear = noise[64, 65].convert("RGBA")
    clear.putalpha(noise[64, 65].convert("L"))
    white = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")
    fit = Fit(24, 24, resize=28)
    assert np.array_equal(fit(clear), torchvisions(white, fit))


def test_what_the_crop_reaches_over_is_black():
    pixels = Fit(6, 4, resize=0)(Image.new("RGB", (2, 2), "white"))
    assert pixels[2:4, 1:3].min() == 255
    assert pixels.sum() == 4 * 3 * 255


def test_a_long_thin_image_is_refused_before_memory_is_taken():
    data = Image.new("L", (2_000_000, 2), 7)
    with pytest.raises(ValueError, match="too thin to resize to 32"):
        Fit(32, 32, resize=32)(data)
    assert np.unique(Fit(2, 32, resize=0)(data)).tolist() == [7]
    with pytest.raises(VivavoceError, match=r"thin\.png: 3000 x 1 pixels are too thin"):
        decode(png(Image.new("L", (3000, 1))), Fit(224, 224, resize=256), "thin.png")


def png(image: Image.Image) -> bytes:
    import io

    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, None),
        ({"crop": 8}, 0),
        ({"resize": 9, "crop": 8}, 9),
        ({"resize": 9}, 9),
        ({"size": (8, 8)}, None),
    ],
)
def test_the_options_become_the_manifests(options, expected, tmp_path):
    assert opened(tmp_path, options).manifest.input.resize == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop": 0}, "--crop must be at least 1"),
        ({"resize": -1}, "--resize must be at least 1"),
        ({"resize": 0, "crop": 8}, "--resize must be at least 1"),
        ({"size": (8, 8), "crop": 7}, "do not agree"),
    ],
)
def test_options_that_make_no_size_are_refused(options, message, tmp_path):
    with pytest.raises(VivavoceError, match=message):
        opened(tmp_path, options)


def opened(folder, options) -> OnnxModel:
    """A model of 8 x 8 images without a manifest."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    from vivavoce.artifacts import open_model

    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["y"]),
    ]
    weights = numpy_helper.from_array(np.ones((192, 3), np.float32), "w")
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "g", [value("x", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [value("y", TensorProto.FLOAT, ["N", 3])], [weights],
    )  # fmt: skip
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "m.onnx"
    )
    model = open_model(folder / "m.onnx", Preprocessing(**options))
    assert isinstance(model, OnnxModel)
    return model
