"""Image files of every kind, and files that are none."""

import io
import struct
import threading
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageDraw

from vivavoce.errors import VivavoceError
from vivavoce.images import Fit
from vivavoce.images.imageset import DamagedImage, ImageError, TooManyPixels, decode, read_image

FIT = Fit(8, 8)


def saved(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that announces a size and holds next to nothing."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    return Image.fromarray(noise)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "ICO", "TGA"])
def test_any_format(kind):
    pixels = decode(saved(Image.new("RGB", (48, 48), (200, 100, 50)), kind), FIT)
    assert np.abs(pixels.reshape(-1, 3).astype(int) - (200, 100, 50)).max() <= 4


def test_one_pixel():
    assert decode(saved(Image.new("RGB", (1, 1), "lime"), "PNG"), FIT).tolist() == [[[0, 255, 0]] * 8] * 8


def test_turned_by_exif():
    half = Image.new("RGB", (16, 8), "black")
    half.paste("white", (8, 0, 16, 8))
    exif = half.getexif()
    exif[0x0112] = 6  # a quarter turn clockwise to see it upright: white comes to the bottom
    pixels = decode(saved(half, "JPEG", exif=exif, quality=100), Fit(16, 8))
    assert pixels[:7].max() < 10
    assert pixels[9:].min() > 245


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bits(kind):
    deep = np.full((8, 8), 0x8012, np.uint16)
    assert np.unique(decode(saved(Image.fromarray(deep), kind), FIT)).tolist() == [0x80]


def test_cmyk():
    ink = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    red, green, blue = decode(saved(ink, "JPEG", quality=95), FIT).reshape(-1, 3).mean(0)
    assert red > 220
    assert max(green, blue) < 60


def test_of_an_animation_the_first_frame():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    for kind in ("GIF", "WEBP", "PNG"):
        data = saved(frames[0], kind, save_all=True, append_images=frames[1:])
        assert decode(data, FIT).reshape(-1, 3).mean(0) == pytest.approx([255, 0, 0], abs=8)


def test_no_bytes():
    with pytest.raises(ImageError, match="empty"):
        decode(b"", FIT)


@pytest.mark.parametrize("data", [b"text", b"<svg xmlns='...'/>", bytes(1000), b"\xff\xd8"])
def test_not_an_image(data):
    with pytest.raises(ImageError, match="not an image") as caught:
        decode(data, FIT, "a.png")
    assert str(caught.value).startswith("a.png: ")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"])
def test_cut_off(kind, photo):
    data = saved(photo, kind)
    with pytest.raises(DamagedImage, match="cut off or damaged"):
        decode(data[: len(data) * 2 // 3], FIT)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "AVIF", "BMP"])
def test_whatever_the_bytes_the_answer_is_pixels_or_one_line(kind, photo):
    data = bytearray(saved(photo, kind))
    generator = np.random.default_rng(1)
    told = []
    for _ in range(150):
        broken = bytearray(data)
        for place in generator.integers(0, min(len(data), 200), 3):
            broken[place] = generator.integers(0, 256)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of odd TIFF tags
            try:
                assert decode(bytes(broken), FIT, max_pixels=1_000_000).shape == (8, 8, 3)
            except VivavoceError as error:
                told.append(str(error))
    assert told
    assert not any("\n" in line for line in told)


@pytest.mark.parametrize(("width", "height"), [(20_000, 20_000), (10_000, 9_000), (2**31 - 1, 2**31 - 1)])
def test_a_bomb_is_refused_by_its_header(width, height):
    with pytest.raises(TooManyPixels, match="at most 50 million"):
        decode(png_header(width, height), FIT, max_pixels=50_000_000)


def test_the_limit_itself_is_allowed():
    data = saved(Image.new("RGB", (100, 100)), "PNG")
    assert decode(data, FIT, max_pixels=10_000).shape == (8, 8, 3)
    with pytest.raises(TooManyPixels, match="100 x 100 pixels"):
        decode(data, FIT, max_pixels=9_999)


def test_other_formats_than_those_asked_for():
    data = saved(Image.new("RGB", (8, 8)), "BMP")
    assert decode(data, FIT, formats=("PNG", "BMP")).shape == (8, 8, 3)
    with pytest.raises(ImageError, match="no known format"):
        decode(data, FIT, formats=("PNG",))


def test_an_open_file_and_a_path(tmp_path, photo):
    photo.save(tmp_path / "a.png")
    with (tmp_path / "a.png").open("rb") as file:
        assert np.array_equal(decode(file, FIT), read_image(tmp_path / "a.png", FIT))
    with pytest.raises(VivavoceError, match="a folder"):
        read_image(tmp_path, FIT)


def test_from_many_threads_at_once(photo):
    data = saved(photo, "PNG")
    expected, wrong = decode(data, FIT), []

    def work() -> None:
        wrong.extend(k for k in range(50) if not np.array_equal(decode(data, FIT), expected))

    threads = [threading.Thread(target=work) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not wrong


def test_transparency_is_laid_on_white():
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    ImageDraw.Draw(image).rectangle((0, 0, 8, 3), fill=(0, 0, 255, 255))
    pixels = decode(saved(image, "PNG"), FIT)
    assert pixels[0, 0].tolist() == [0, 0, 255]
    assert pixels[7, 7].tolist() == [255, 255, 255]
