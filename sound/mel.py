"""The mel scale: one filter bank for making spectrograms and for playing them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ..artifacts.manifest import Mel
from ..errors import VivavoceError

BREAK_HERTZ = 1000.0
HERTZ_PER_MEL = 200 / 3
LOG_STEP = np.log(6.4) / 27


def to_mel(hertz: np.ndarray) -> np.ndarray:
    """Slaney's mel scale: linear up to 1 kHz, logarithmic above (Auditory Toolbox, 1998)."""
    hertz = np.asarray(hertz, np.float64)
    above = BREAK_HERTZ / HERTZ_PER_MEL + np.log(np.maximum(hertz, BREAK_HERTZ) / BREAK_HERTZ) / LOG_STEP
    return np.where(hertz < BREAK_HERTZ, hertz / HERTZ_PER_MEL, above)


def to_hertz(mel: np.ndarray) -> np.ndarray:
    """Inverse of `to_mel`."""
    mel = np.asarray(mel, np.float64)
    corner = BREAK_HERTZ / HERTZ_PER_MEL
    return np.where(
        mel < corner, mel * HERTZ_PER_MEL, BREAK_HERTZ * np.exp(LOG_STEP * (np.maximum(mel, corner) - corner))
    )


@lru_cache(maxsize=8)
def filter_bank(bands: int, mel: Mel) -> np.ndarray:
    """Triangular filters of equal area, evenly spaced in mel: float32 [bands, n_fft/2 + 1].

    Raises:
        VivavoceError: so many bands that one falls between two frequencies of the transform.
    """
    frequencies = np.fft.rfftfreq(mel.n_fft, 1 / mel.sample_rate)
    ends = to_mel(np.array([mel.fmin, mel.fmax]))
    corners = to_hertz(np.linspace(ends[0], ends[1], bands + 2))
    width = np.diff(corners)[:, None]
    rising = (frequencies - corners[:-2, None]) / width[:-1]
    falling = (corners[2:, None] - frequencies) / width[1:]
    triangles = np.clip(np.minimum(rising, falling), 0, None)
    if not triangles.any(1).all():
        raise VivavoceError(
            f"{bands} mel bands are too many for a transform of {mel.n_fft} samples; choose a smaller size"
        )
    return (triangles * (2 / (corners[2:] - corners[:-2]))[:, None]).astype(np.float32)


@lru_cache(maxsize=8)
def inverse_filter_bank(bands: int, mel: Mel) -> np.ndarray:
    """Pseudo-inverse of `filter_bank`: float32 [n_fft/2 + 1, bands]."""
    return np.linalg.pinv(filter_bank(bands, mel).astype(np.float64)).astype(np.float32)


@lru_cache(maxsize=4)
def hann(length: int) -> np.ndarray:
    """Periodic Hann window: float32 [length]."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)).astype(np.float32)
