"""Corruptions against independent code for the same formulas."""

import colorsys
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter1d

from vivavoce.audit.attacks.corruptions import CORRUPTIONS, Corruption, all_corruptions
from vivavoce.audit.attacks.streams import Streams
from vivavoce.errors import VivavoceError

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 3, 20, 24)).astype(np.uint8)
PIXELS[0, :, :3] = 0
IMAGES = (PIXELS / 255).astype(np.float32)
STREAMS = Streams.of(0, "corruptions", np.arange(4))


def expected(kind: str, strength) -> np.ndarray:
    if kind == "blur":
        out = IMAGES.astype(np.float64)
        for axis in (2, 3):
            out = gaussian_filter1d(out, strength, axis=axis, mode="nearest", truncate=4.0)
        return out
    if kind == "contrast":
        return np.stack(
            [[(c - c.mean()) * strength + c.mean() for c in i] for i in IMAGES.astype(np.float64)]
        )
    out = np.empty(IMAGES.shape)
    for n, image in enumerate(IMAGES):
        if kind == "jpeg":
            file = BytesIO()
            Image.fromarray(PIXELS[n].transpose(1, 2, 0)).save(file, "JPEG", quality=strength)
            out[n] = np.asarray(Image.open(file)).transpose(2, 0, 1) / 255
            continue
        for y in range(image.shape[1]):
            for x in range(image.shape[2]):
                hue, saturation, value = colorsys.rgb_to_hsv(*image[:, y, x].astype(float))
                out[n, :, y, x] = colorsys.hsv_to_rgb(hue, saturation, min(value + strength, 1))
    return out


@pytest.mark.parametrize("kind", ["blur", "jpeg", "brightness", "contrast"])
@pytest.mark.parametrize("severity", [1, 5])
def test_the_deterministic_ones(kind, severity):
    reference = np.clip(expected(kind, CORRUPTIONS[kind][1][severity - 1]), 0, 1)
    found = Corruption(kind, severity).apply(IMAGES, STREAMS)
    assert np.abs(found - np.floor(reference * 255 + 1e-6) / 255).max() <= 1.01 / 255
    assert np.mean(np.abs(found * 255 - np.floor(reference * 255 + 1e-6)) > 0.5) < 0.01


@pytest.mark.parametrize("severity", [1, 3, 5])
@pytest.mark.parametrize("level", [0.1, 0.5])
def test_the_noises_have_their_mean_and_spread(severity, level):
    images = np.full((4, 3, 60, 60), level, np.float32)
    count = images.size
    strengths = {kind: CORRUPTIONS[kind][1][severity - 1] for kind in CORRUPTIONS}
    spreads = {
        "gaussian-noise": strengths["gaussian-noise"],
        "shot-noise": np.sqrt(level / strengths["shot-noise"]),
    }
    for kind, spread in spreads.items():
        if level - 3 * spread < 0:
            continue  # the clip at 0 would show
        noise = Corruption(kind, severity).apply(images, STREAMS) - level
        assert abs(noise.mean() + 0.5 / 255) < 5 * spread / np.sqrt(count) + 0.1 / 255
        assert noise.std() == pytest.approx(spread, rel=0.06)


def test_shot_noise_counts_photons():
    """Before rounding to 8 bits every pixel is a whole number of photons, distributed as Poisson says."""
    function, _ = CORRUPTIONS["shot-noise"]
    images = np.full((1, 1, 200, 200), 0.1, np.float32)
    photons = np.rint(function(images, 50, Streams.of(0, "shot", np.arange(1))) * 50).astype(int)
    shares = np.bincount(photons.ravel(), minlength=12)[:12] / photons.size
    poisson = [np.exp(-5.0) * 5.0**k / np.prod(range(1, k + 1)) for k in range(12)]
    np.testing.assert_allclose(shares, poisson, atol=0.01)


def test_published_strengths():
    assert {kind: strengths for kind, (_, strengths) in CORRUPTIONS.items()} == {
        "gaussian-noise": (0.04, 0.06, 0.08, 0.09, 0.10),
        "shot-noise": (500, 250, 100, 75, 50),
        "blur": (0.4, 0.6, 0.7, 0.8, 1),
        "jpeg": (80, 65, 58, 50, 40),
        "brightness": (0.05, 0.1, 0.15, 0.2, 0.3),
        "contrast": (0.75, 0.5, 0.4, 0.3, 0.15),
    }


@pytest.mark.parametrize("corruption", list(all_corruptions()), ids=lambda c: c.name)
@pytest.mark.parametrize("channels", [1, 3])
def test_any_image_in_any_batch(corruption, channels):
    images = IMAGES[:, :channels]
    whole = corruption.apply(images, STREAMS)
    assert whole.dtype == np.float32
    assert whole.shape == images.shape
    np.testing.assert_array_equal(whole, np.rint(whole * 255).astype(np.float32) / np.float32(255))
    some = np.array([2, 0])
    np.testing.assert_array_equal(corruption.apply(images[some], STREAMS.part(some)), whole[some])


def test_unknown_ones_are_refused():
    for kind, severity in [("fog", 1), ("blur", 0), ("blur", 6)]:
        with pytest.raises(VivavoceError, match="severity"):
            Corruption(kind, severity)
