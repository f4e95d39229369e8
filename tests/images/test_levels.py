"""Every kind of pixel value, as 8 bits by the range that its file declares."""

import io

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from vivavoce.errors import VivavoceError
from vivavoce.images import Fit
from vivavoce.images.imageset import decode

GREY = np.arange(256, dtype=np.uint8).reshape(16, 16)
FIT = Fit(16, 16, 1)


def saved(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def read(image: Image.Image, kind: str = "TIFF", fit: Fit = FIT, **options) -> np.ndarray:
    return decode(saved(image, kind, **options), fit, "a.img")[..., 0]


def tags(**values: int) -> TiffImagePlugin.ImageFileDirectory_v2:
    found = TiffImagePlugin.ImageFileDirectory_v2()
    for name, value in values.items():
        found[{"MaxSampleValue": 281, "Photometric": 262}[name]] = value
    return found


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM", "JPEG2000"])
@pytest.mark.parametrize("dark", [1, 8])
def test_16_bits_are_scaled_by_257_however_dark(dark, kind):
    values = GREY // dark
    deep = Image.fromarray(values.astype(np.uint16) * 257)
    assert np.array_equal(read(deep, kind), values)


def test_16_bits_are_rounded():
    deep = Image.fromarray(np.array([[0, 128, 129, 385, 386, 65535]], np.uint16))
    assert read(deep, "PNG", Fit(1, 6, 1)).tolist() == [[0, 0, 1, 1, 2, 255]]


@pytest.mark.parametrize("largest", [15, 255, 1023, 4095, 65535])
@pytest.mark.parametrize("dark", [1, 8])
def test_the_largest_value_of_a_pgm_counts(dark, largest):
    shares = GREY / 255 / dark
    kind = np.uint8 if largest < 256 else np.dtype(">u2")
    body = np.rint(shares * largest).astype(kind)
    pixels = decode(b"P5 16 16 %d\n" % largest + body.tobytes(), FIT)[..., 0]
    assert np.abs(pixels - body / largest * 255).max() < 0.51


def test_a_tiff_of_12_bits_in_16_says_so():
    values = GREY.astype(np.uint16) * 16
    said = read(Image.fromarray(values), tiffinfo=tags(MaxSampleValue=4095))
    assert np.abs(said - values / 4095 * 255).max() < 0.51
    statistic = read(Image.fromarray(values), tiffinfo=tags(MaxSampleValue=int(values.max())))
    assert np.array_equal(statistic, read(Image.fromarray(values)))
    assert statistic.max() == 16


def test_floats_are_read_from_0_to_1():
    assert np.array_equal(read(Image.fromarray(GREY.astype(np.float32) / 255)), GREY)
    dark = GREY // 8
    assert np.array_equal(read(Image.fromarray(dark.astype(np.float32) / 255)), dark)


@pytest.mark.parametrize("value", [255.0, -0.1, np.nan, np.inf])
def test_floats_of_another_range_are_refused(value):
    values = np.full((16, 16), 0.5, np.float32)
    values[3, 4] = value
    with pytest.raises(VivavoceError, match=r"a\.img: floats outside 0\.\.1"):
        read(Image.fromarray(values))


@pytest.mark.parametrize("value", [0, 200, 0x8012, 2**31 - 1, -1])
def test_32_bit_integers_are_refused_whatever_they_hold(value):
    with pytest.raises(VivavoceError, match=r"a\.img: 32-bit or signed integers"):
        read(Image.fromarray(np.full((16, 16), value, np.int32)))


@pytest.mark.parametrize("values", [GREY.astype(np.uint16) * 257, GREY.astype(np.float32) / 255])
def test_white_may_be_zero(values):
    data = bytearray(saved(Image.fromarray(values), "TIFF"))
    tag = data.index(b"\x06\x01\x03\x00\x01\x00\x00\x00\x01\x00")  # 262, short, one value: 1
    data[tag + 8] = 0
    assert np.array_equal(decode(bytes(data), FIT)[..., 0], 255 - GREY)


@pytest.mark.parametrize(
    "mode", ["1", "L", "P", "LA", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB", "RGBX"]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_mode_becomes_grey_or_rgb(mode, channels):
    white = Image.new("RGB", (8, 8), "white")
    image = Image.new("LAB", (8, 8), (255, 128, 128)) if mode == "LAB" else white.convert(mode)
    pixels = Fit(8, 8, channels)(image)
    assert pixels.shape == (8, 8, channels)
    assert pixels.min() >= 254


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "1"])
def test_a_transparent_colour_is_white(mode):
    image = Image.new("RGB", (8, 8), "black").convert(mode)
    clear = (0, 0, 0) if mode == "RGB" else image.getpixel((0, 0))
    assert read(image, "PNG", Fit(8, 8, 1), transparency=clear).min() == 255


def test_a_transparent_grey_of_16_bits_is_white():
    image = Image.fromarray(np.full((8, 8), 500, np.uint16))
    assert read(image, "PNG", Fit(8, 8, 1), transparency=500).min() == 255
    assert read(image, "PNG", Fit(8, 8, 1), transparency=501).max() == 2
