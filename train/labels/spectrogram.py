"""From a recording to a label: trim, log-mel spectrogram, resize along time."""

from __future__ import annotations

import numpy as np

from ...artifacts.manifest import Mel
from ...sound.mel import filter_bank, hann
from ...sound.resampling import resample

TRIM_DECIBELS = 60.0
"""Sound this far below the loudest frame, at either end, is silence."""
TRIM_FRAME, TRIM_HOP = 2048, 512


def speech_label(samples: np.ndarray, rate: int, size: int, mel: Mel) -> tuple[np.ndarray, int]:
    """Make the label of one spoken word.

    The recipe of Chen et al. 2021 (section 3 and the released code): resample, trim, mel power
    spectrogram, decibels relative to the maximum, resize to a square.

    Args:
        samples: mono sound [n].
        rate: its samples per second.
        size: bands and columns of the label.
        mel: settings of the spectrogram.

    Returns:
        float32 [size, size] in mel.floor..0, and the number of frames before the resize.
    """
    sound = trim(resample(samples, rate, mel.sample_rate))
    spectrogram = log_mel(sound, size, mel)
    return resize_time(spectrogram, size), spectrogram.shape[1]


def trim(sound: np.ndarray) -> np.ndarray:
    """Cut silence off both ends: frames of 2048 samples more than 60 dB below the loudest."""
    padded = np.pad(sound.astype(np.float64), TRIM_FRAME // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, TRIM_FRAME)[::TRIM_HOP]
    power = np.maximum((frames**2).mean(1), 1e-10)
    loud = np.flatnonzero(power > power.max() * 10 ** (-TRIM_DECIBELS / 10))
    if not len(loud) or power.max() <= 1e-10:
        return sound[:0]
    return sound[loud[0] * TRIM_HOP : (loud[-1] + 1) * TRIM_HOP]


def log_mel(sound: np.ndarray, bands: int, mel: Mel) -> np.ndarray:
    """Mel power spectrogram in decibels relative to its maximum: float32 [bands, 1 + n // hop].

    Frames are centred on their instants; the ends are mirrored (librosa's default before 0.10).
    """
    padded = np.pad(sound.astype(np.float32), mel.n_fft // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, mel.n_fft)[:: mel.hop]
    power = np.abs(np.fft.rfft(frames * hann(mel.n_fft), axis=1)) ** 2
    bands_power = np.maximum(filter_bank(bands, mel) @ power.T.astype(np.float32), 1e-10)
    decibels = 10 * np.log10(bands_power / bands_power.max())
    return np.maximum(decibels, mel.floor).astype(np.float32)


def resize_time(spectrogram: np.ndarray, columns: int) -> np.ndarray:
    """Resize [bands, frames] to [bands, columns] as an image resize with anti-aliasing does.

    Shrinking blurs first (Gaussian, sigma (frames/columns - 1)/2, cut at 4 sigma); then linear
    interpolation between pixel centres. The ends are mirrored about the outermost pixels.
    """
    frames = spectrogram.shape[1]
    sigma = (frames / columns - 1) / 2
    image = _blur(spectrogram, sigma) if sigma > 0 else spectrogram.astype(np.float64)
    padded = np.pad(image, ((0, 0), (1, 1)), mode="reflect" if frames > 1 else "edge")
    centre = (np.arange(columns) + 0.5) * frames / columns - 0.5 + 1
    left = np.floor(centre).astype(int)
    share = centre - left
    resized = padded[:, left] * (1 - share) + padded[:, np.minimum(left + 1, frames + 1)] * share
    return np.clip(resized, spectrogram.min(), spectrogram.max()).astype(np.float32)


def _blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur along the second axis, mirrored ends: float64."""
    radius = int(4 * sigma + 0.5)
    weight = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    padded = np.pad(image.astype(np.float64), ((0, 0), (radius, radius)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * radius + 1, axis=1)
    return windows @ (weight / weight.sum())
