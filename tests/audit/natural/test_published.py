"""Corruptions against independent code for the published formulas, at the strengths of both sizes."""

import colorsys
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from vivavoce.audit.attacks.streams import Streams
from vivavoce.audit.natural.change import Change
from vivavoce.audit.natural.draws import Draws
from vivavoce.audit.natural.kinds import CORRUPTIONS, EXTRA

cv2 = pytest.importorskip("cv2")
KINDS = CORRUPTIONS | EXTRA


def photo(height: int, width: int) -> np.ndarray:
    """Smooth shapes and hard edges, uint8 [H, W, 3], black and grey among them."""
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / (3 + 9 * k) + k) * np.cos(y / (5 + 4 * k)) for k in range(3)]
    image = 127 + 100 * np.stack(waves, -1) + np.where((x // 9 + y // 7) % 5 == 0, 60, 0)[..., None]
    image[:4], image[-3:] = 0, 128
    return np.clip(image, 0, 255).astype(np.uint8)


SIZES = [(32, 32), (80, 96)]


def apply(kind: str, severity: int, pixels: np.ndarray) -> tuple[np.ndarray, tuple, Draws]:
    """The changed image uint8 [H, W, C], the strength, and the same draws again."""
    found = KINDS[kind]
    assert isinstance(found, Change)
    streams = Streams.of(0, kind, np.arange(1))
    images = (pixels.transpose(2, 0, 1)[None] / 255).astype(np.float32)
    changed = np.rint(found.apply(images, severity, streams)[0] * 255).astype(np.uint8)
    return (
        changed.transpose(1, 2, 0),
        found.strength(severity, *pixels.shape[:2]),
        Draws(streams.fork(severity)),
    )


def assert_near(found: np.ndarray, expected: np.ndarray, beyond: float = 0.0) -> None:
    """Within one grey level, but for a share of the values."""
    levels = np.floor(np.clip(expected, 0, 1) * 255 + 1e-6)
    assert np.mean(np.abs(found - levels) > 1) <= beyond


def hsv(pixels: np.ndarray, change) -> np.ndarray:
    flat = [colorsys.hsv_to_rgb(*change(*colorsys.rgb_to_hsv(*p))) for p in pixels.reshape(-1, 3) / 255]
    return np.array(flat).reshape(pixels.shape)


def blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    return ndimage.gaussian_filter(image, (sigma, sigma, 0), mode="nearest", truncate=4.0)


def disc(radius: float, soft: float) -> np.ndarray:
    reach, size = (8, 3) if radius <= 8 else (int(radius), 5)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    flat = (x**2 + y**2 <= radius**2).astype(np.float64)
    return np.asarray(cv2.GaussianBlur(flat / flat.sum(), (size, size), soft))


def zoomed(image: np.ndarray, factor: float) -> np.ndarray:
    sides = [int(np.ceil(side / factor)) for side in image.shape[:2]]
    top, left = ((a - b) // 2 for a, b in zip(image.shape, sides, strict=False))
    cut = image[top : top + sides[0], left : left + sides[1]]
    return np.asarray(ndimage.zoom(cut, (factor, factor, 1)[: image.ndim], order=1))


def smeared(image: np.ndarray, radius: int, sigma: float, angle: float) -> np.ndarray:
    """Every pixel is a weighted mean of those along a line, borders repeated."""
    weights = np.exp(-(np.arange(2 * radius + 1) ** 2) / (2 * sigma**2))
    weights /= weights.sum()
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    result = np.zeros(image.shape)
    for k, weight in enumerate(weights):
        down = np.ceil(k * np.sin(np.deg2rad(angle)) - 0.5)
        right = np.ceil(k * np.cos(np.deg2rad(angle)) - 0.5)
        rows = np.clip(y + int(down), 0, image.shape[0] - 1)
        columns = np.clip(x + int(right), 0, image.shape[1] - 1)
        result += weight * image[rows, columns]
    return result


def expected(kind: str, pixels: np.ndarray, strength: tuple, draws: Draws) -> np.ndarray:
    """The published formula, float64 [H, W, C]."""
    image, (height, width) = pixels / 255, pixels.shape[:2]
    (first, *rest) = strength
    if kind in ("gaussian-noise", "speckle-noise"):
        noise = draws.normal(0, first, (3, height, width)).transpose(1, 2, 0)
        return image + noise * (image if kind == "speckle-noise" else 1)
    if kind == "impulse-noise":
        hit, salt = (draws.uniform(shape=(3, height, width)).transpose(1, 2, 0) for _ in range(2))
        return np.where(hit <= first, salt <= 0.5, image)
    if kind == "gaussian-blur":
        return blurred(image, first)
    if kind == "defocus":
        return np.stack([cv2.filter2D(image[..., c], -1, disc(*strength)) for c in range(3)], -1)
    if kind == "zoom-blur":
        factors = np.arange(1, *strength)
        return (image + sum(zoomed(image, factor)[:height, :width] for factor in factors)) / (
            len(factors) + 1
        )
    if kind == "motion-blur":
        return smeared(image, first, rest[0], float(draws.uniform(-45, 45)))
    if kind == "brightness":
        return hsv(pixels, lambda h, s, v: (h, s, min(v + first, 1)))
    if kind == "saturate":
        return hsv(pixels, lambda h, s, v: (h, np.clip(s * first + rest[0], 0, 1), v))
    if kind == "contrast":
        mean = image.mean((0, 1))
        return (image - mean) * first + mean
    if kind == "pixelate":
        small = Image.fromarray(pixels).resize(
            (int(width * first), int(height * first)), Image.Resampling.BOX
        )
        return np.asarray(small.resize((width, height), rest[0])) / 255
    assert kind == "jpeg"
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=first)
    return np.asarray(Image.open(file)) / 255


BY_FORMULA = (
    "gaussian-noise speckle-noise impulse-noise gaussian-blur defocus zoom-blur motion-blur brightness "
    "saturate contrast pixelate jpeg"
).split()


@pytest.mark.parametrize("kind", BY_FORMULA)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_formula_given_the_draws(kind, size):
    for severity in (1, 3, 5):
        pixels = photo(*size)
        found, strength, draws = apply(kind, severity, pixels)
        assert_near(found, expected(kind, pixels, strength, draws))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("severity", [1, 5])
def test_glass_blur_takes_the_neighbours_values(size, severity):
    pixels = photo(*size)
    found, (sigma, reach, rounds), draws = apply("glass-blur", severity, pixels)
    image = np.floor(blurred(pixels / 255, sigma) * 255 + 1e-6)
    for _ in range(rounds):
        rows, columns = (range(reach + 1, side - reach + 1) for side in size)
        right, down = draws.integers(-reach, reach, (2, len(rows), len(columns)))
        for y in reversed(rows):
            for x in reversed(columns):
                dy, dx = (int(way[y - rows[0], x - columns[0]]) for way in (down, right))
                image[y, x] = image[y + dy, x + dx]
    assert_near(found, blurred(image / 255, sigma))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_elastic_moves_pixels_along_smoothed_noise(size):
    pixels = photo(*size)
    found, (reach, deviation, skew), draws = apply("elastic", 4, pixels)
    image, (height, width) = pixels / 255, size
    if skew:
        centre, third = np.array([width // 2, height // 2]), min(size) // 3
        corners = [centre + third, [centre[0] + third, centre[1] - third], centre - third]
        points = np.array(corners, np.float32)
        places = points + draws.uniform(-skew * height, skew * height, (3, 2)).astype(np.float32)
        matrix = cv2.getAffineTransform(points, places)
        image = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)
    right, down = (
        ndimage.gaussian_filter(
            draws.uniform(-1, 1, size), (deviation * height, deviation * width), mode="reflect", truncate=3.0
        )
        * reach
        * height
        for _ in range(2)
    )
    y, x = np.mgrid[:height, :width]
    layers = [
        ndimage.map_coordinates(image[..., c], (y + down, x + right), order=1, mode="reflect")
        for c in range(3)
    ]
    # OpenCV rounds the places of an affine map to 1/32 of a pixel.
    difference = np.abs(found - np.stack(layers, -1) * 255)
    assert difference.max() <= (8 if skew else 1.01)
    assert difference.mean() <= (1.2 if skew else 0.6)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("severity", [1, 4])
def test_snow_falls_on_a_whitened_image(size, severity):
    pixels = photo(*size)
    found, (mean, spread, zoom, least, radius, sigma, kept), draws = apply("snow", severity, pixels)
    image = pixels / 255
    flakes = zoomed(draws.normal(mean, spread, size), zoom)
    flakes = np.clip(np.where(flakes < least, 0, flakes), 0, 1)
    flakes = np.rint(smeared(flakes, radius, sigma, float(draws.uniform(-135, -45))) * 255) / 255
    flakes = flakes[: size[0], : size[1], None]
    grey = (image @ [0.299, 0.587, 0.114])[..., None]
    white = kept * image + (1 - kept) * np.maximum(image, grey * 1.5 + 0.5)
    assert_near(found, white + flakes + np.rot90(flakes, 2))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("severity", [2, 5])
def test_spatter_is_water_or_mud(size, severity):
    pixels = photo(*size)
    found, (mean, spread, sigma, least, amount, mud), draws = apply("spatter", severity, pixels)
    image = pixels / 255
    liquid = ndimage.gaussian_filter(draws.normal(mean, spread, size), sigma, mode="nearest")
    liquid[liquid < least] = 0
    if mud:
        cover = ndimage.gaussian_filter((liquid > least).astype(float), amount, mode="nearest")[..., None]
        cover[cover < 0.8] = 0
        assert_near(found, image * (1 - cover) + cover * np.array([63, 42, 20]) / 255)
        return
    drops = (liquid * 255).astype(np.uint8)
    distance = cv2.distanceTransform(255 - cv2.Canny(drops, 50, 150), cv2.DIST_L2, 5)
    distance = cv2.equalizeHist(cv2.blur(np.minimum(distance, 20), (3, 3)).astype(np.uint8))
    relief = cv2.blur(
        cv2.filter2D(distance, cv2.CV_8U, np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])), (3, 3)
    )
    shine = drops * relief.astype(float)
    assert_near(
        found, image + (shine / shine.max() * amount)[..., None] * np.array([175, 238, 238]) / 255, 0.01
    )


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("severity", [1, 5])
def test_fog_is_a_fractal_cloud(size, severity):
    pixels = photo(*size)
    found, (amount, decay), draws = apply("fog", severity, pixels)
    side = 32 if size == (32, 32) else 128
    heights, step, wobble = np.zeros((side, side)), side, 100.0
    while step >= 2:  # diamond-square, point by point, on a torus
        half, places = step // 2, range(0, side, step)
        squares = [
            [(y, x), (y + step, x), (y, x + step), (y + step, x + step)] for y in places for x in places
        ]
        _raise(heights, squares, [(y + half, x + half) for y in places for x in places], wobble, draws)
        for dy, dx in ((0, half), (half, 0)):
            middles = [(y + dy, x + dx) for y in places for x in places]
            rings = [[(y - half, x), (y + half, x), (y, x - half), (y, x + half)] for y, x in middles]
            _raise(heights, rings, middles, wobble, draws)
        step, wobble = half, wobble / decay
    cloud = (heights - heights.min()) / np.ptp(heights)
    image = pixels / 255
    most = image.max()
    mist = (image + amount * cloud[: size[0], : size[1], None]) * most / (most + amount)
    assert_near(found, mist)


def _raise(heights, around, middles, wobble, draws):
    side, count = len(heights), round(len(middles) ** 0.5)
    shocks = draws.uniform(-wobble, wobble, (count, count)).ravel() * wobble
    means = [np.mean([heights[y % side, x % side] for y, x in ring]) for ring in around]
    for (y, x), mean, shock in zip(middles, means, shocks, strict=True):
        heights[y % side, x % side] = mean + shock


def test_shot_noise_counts_photons():
    """Every pixel is a whole number of photons, distributed as Poisson says."""
    kind = CORRUPTIONS["shot-noise"]
    assert isinstance(kind, Change)
    dim = np.full((1, 200, 200), 0.1)
    photons = np.rint(kind.change(dim, 50, Draws(Streams.of(0, "shot", np.arange(1)))) * 50).astype(int)
    shares = np.bincount(photons.ravel(), minlength=12)[:12] / photons.size
    poisson = [np.exp(-5.0) * 5.0**k / np.prod(range(1, k + 1)) for k in range(12)]
    np.testing.assert_allclose(shares, poisson, atol=0.01)


def test_strengths_are_those_of_the_two_data_sets():
    """The size decides: up to 64 pixels CIFAR-10-C, from there ImageNet-C."""
    rows = {
        "gaussian-noise": ((0.10,), (0.38,)), "shot-noise": ((50,), (3,)),
        "impulse-noise": ((0.07,), (0.27,)),
        "defocus": ((1.5, 0.1), (10, 0.5)), "glass-blur": ((0.4, 1, 2), (1.5, 4, 2)),
        "motion-blur": ((9, 2.5), (20, 15)), "brightness": ((0.3,), (0.5,)), "contrast": ((0.15,), (0.05,)),
        "fog": ((1.5, 1.75), (3, 1.4)), "frost": ((0.75, 0.45), (0.6, 0.75)), "jpeg": ((40,), (7,)),
        "snow": ((0.3, 0.3, 1.25, 0.65, 14, 12, 0.8), (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55)),
        "speckle-noise": ((0.2,), (0.6,)), "gaussian-blur": ((1,), (6,)), "saturate": ((2.5, 0.2), (20, 0.2)),
    }  # fmt: skip
    for kind, (small, large) in rows.items():
        found = KINDS[kind]
        assert isinstance(found, Change)
        assert found.strength(5, 64, 40) == small
        assert found.strength(5, 40, 65) == large
    assert len(CORRUPTIONS) == 15
    assert all(kind.severities == (1, 2, 3, 4, 5) for kind in KINDS.values())
