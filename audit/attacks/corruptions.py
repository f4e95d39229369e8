"""Common corruptions at five severities: a model should withstand them without any attack.

The kinds and their strengths are those of CIFAR-10-C (Hendrycks and Dietterich 2019, "Benchmarking neural
network robustness to common corruptions and perturbations"), which were tuned for images of 32 by 32.
Results are rounded down to 8 bits, as there. They are not confined to a ball.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image

from ...errors import VivavoceError
from .streams import Streams

SEVERITIES = (1, 2, 3, 4, 5)
POISSON_STEPS = 1000
"""Longest tail that shot noise looks at; rates are at most 500."""


def gaussian_noise(images: np.ndarray, deviation: float, streams: Streams) -> np.ndarray:
    """Add normal noise."""
    return images + deviation * streams.normal(0, images.shape[1:])


def shot_noise(images: np.ndarray, photons: float, streams: Streams) -> np.ndarray:
    """Count photons: a Poisson number with mean `photons` times the pixel, over `photons`."""
    draws = streams.uniform(0, images.shape[1:]).astype(np.float64)
    return (
        np.stack([_poisson(photons * image, draw) for image, draw in zip(images, draws, strict=True)])
        / photons
    )


def _poisson(rates: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Invert the distribution function: the smallest count whose probability reaches the draw."""
    levels, which = np.unique(rates, return_inverse=True)
    counts = np.arange(POISSON_STEPS)
    logs = np.concatenate([[0], np.cumsum(np.log(counts[1:]))])
    with np.errstate(divide="ignore", invalid="ignore"):
        exponents = np.where(counts == 0, 0, counts * np.log(levels[:, None])) - levels[:, None] - logs
    tables = np.cumsum(np.exp(exponents), axis=1)
    which = which.reshape(-1)
    found = np.empty(rates.size)
    for level in range(len(levels)):
        here = which == level
        found[here] = np.searchsorted(tables[level], draws.reshape(-1)[here], side="right")
    return found.reshape(rates.shape)


def blur(images: np.ndarray, deviation: float, streams: Streams) -> np.ndarray:
    """Gaussian blur, cut off at four standard deviations, borders repeated."""
    reach = int(4 * deviation + 0.5)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    kernel /= kernel.sum()
    blurred = images.astype(np.float64)
    for axis in (2, 3):
        pads = [(reach, reach) if a == axis else (0, 0) for a in range(4)]
        padded, length = np.pad(blurred, pads, mode="edge"), images.shape[axis]
        shifts = (np.take(padded, range(k, k + length), axis) for k in range(2 * reach + 1))
        blurred = np.sum([w * s for w, s in zip(kernel, shifts, strict=True)], axis=0)
    return blurred


def jpeg(images: np.ndarray, quality: float, streams: Streams) -> np.ndarray:
    """Save as JPEG and read again."""
    return np.stack([_as_jpeg(image, int(quality)) for image in images])


def _as_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    pixels = np.rint(image * 255).astype(np.uint8).transpose(1, 2, 0)
    file = BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(file, "JPEG", quality=quality)
    with Image.open(file) as opened:
        back = np.asarray(opened, np.float64) / 255
    return back.reshape(pixels.shape).transpose(2, 0, 1)


def brightness(images: np.ndarray, amount: float, streams: Streams) -> np.ndarray:
    """Add to the value of hue, saturation and value: all channels by the factor that their largest needs."""
    value = images.max(1, keepdims=True).astype(np.float64)
    lighter = np.minimum(value + amount, 1)
    return np.where(value > 0, images * (lighter / np.maximum(value, 1e-12)), lighter)


def contrast(images: np.ndarray, share: float, streams: Streams) -> np.ndarray:
    """Draw all pixels towards their channel's mean."""
    mean = images.mean((2, 3), keepdims=True, dtype=np.float64)
    return (images - mean) * share + mean


@dataclass(frozen=True)
class Corruption:
    """One kind at one severity."""

    kind: str
    severity: int
    """1 to 5."""

    def __post_init__(self) -> None:
        if self.kind not in CORRUPTIONS or self.severity not in SEVERITIES:
            raise VivavoceError(
                f"no corruption {self.kind!r} of severity {self.severity}; choose one of "
                f"{', '.join(CORRUPTIONS)} and a severity from 1 to 5"
            )

    @property
    def name(self) -> str:
        """Kind and severity: `blur-3`."""
        return f"{self.kind}-{self.severity}"

    def apply(self, images: np.ndarray, streams: Streams) -> np.ndarray:
        """Corrupt images [N, C, H, W] in 0..1; each with its own noise: float32, of 8 bits."""
        function, strengths = CORRUPTIONS[self.kind]
        corrupted = function(images, strengths[self.severity - 1], streams)
        levels = np.floor(np.clip(corrupted, 0, 1) * 255 + 1e-6)
        return (levels / 255).astype(np.float32)


CORRUPTIONS: dict[
    str, tuple[Callable[[np.ndarray, float, Streams], np.ndarray], tuple[float, float, float, float, float]]
] = {
    "gaussian-noise": (gaussian_noise, (0.04, 0.06, 0.08, 0.09, 0.10)),
    "shot-noise": (shot_noise, (500, 250, 100, 75, 50)),
    "blur": (blur, (0.4, 0.6, 0.7, 0.8, 1)),
    "jpeg": (jpeg, (80, 65, 58, 50, 40)),
    "brightness": (brightness, (0.05, 0.1, 0.15, 0.2, 0.3)),
    "contrast": (contrast, (0.75, 0.5, 0.4, 0.3, 0.15)),
}
"""Kinds with their strengths at severity 1 to 5."""


def all_corruptions() -> Iterator[Corruption]:
    """Every kind at every severity."""
    for kind in CORRUPTIONS:
        for severity in SEVERITIES:
            yield Corruption(kind, severity)
