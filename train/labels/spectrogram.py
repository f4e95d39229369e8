"""From a recording to a label: trim, log-mel spectrogram, resize along time."""

from __future__ import annotations

import numpy as np

from ...artifacts.manifest import Mel
from ...sound.mel import filter_bank

TRIM_DECIBELS = 60.0
"""Sound this far below the loudest frame, at either end, is silence."""


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

    Raises:
        VivavoceError: `size` is more bands than the spectrogram can tell apart.
    """
    import librosa

    filter_bank(size, mel)  # refuses too many bands, where librosa only warns
    sound = trim(librosa.resample(samples, orig_sr=rate, target_sr=mel.sample_rate, res_type="soxr_hq"))
    spectrogram = log_mel(sound, size, mel)
    return resize_time(spectrogram, size), spectrogram.shape[1]


def trim(sound: np.ndarray) -> np.ndarray:
    """Cut silence off both ends of mono sound [n]: frames more than 60 dB below the loudest."""
    import librosa

    return librosa.effects.trim(sound, top_db=TRIM_DECIBELS)[0] if sound.any() else sound[:0]


def log_mel(sound: np.ndarray, bands: int, mel: Mel) -> np.ndarray:
    """Mel power spectrogram in decibels relative to its maximum: float32 [bands, 1 + n // hop].

    The ends are mirrored, which was librosa's default when the published labels were made.
    """
    import librosa

    power = librosa.feature.melspectrogram(
        y=np.asarray(sound, np.float32),
        sr=mel.sample_rate,
        n_fft=mel.n_fft,
        hop_length=mel.hop,
        n_mels=bands,
        fmin=mel.fmin,
        fmax=mel.fmax,
        pad_mode="reflect",
    )
    return librosa.power_to_db(power, ref=np.max, top_db=-mel.floor).astype(np.float32)


def resize_time(spectrogram: np.ndarray, columns: int) -> np.ndarray:
    """Resize [bands, frames] to [bands, columns] as scikit-image's `resize` does by default.

    Shrinking blurs first (Gaussian, sigma (frames/columns - 1)/2); then linear interpolation between
    pixel centres. The ends are mirrored about the outermost pixels. Values stay in the input's range.
    """
    from scipy import ndimage

    sigma = max(0.0, (spectrogram.shape[1] / columns - 1) / 2)
    image = spectrogram.astype(np.float64)
    blurred = ndimage.gaussian_filter1d(image, sigma, mode="mirror") if sigma else image
    shrink = (1, columns / image.shape[1])
    resized = np.asarray(ndimage.zoom(blurred, shrink, order=1, mode="mirror", grid_mode=True))
    return np.clip(resized, spectrogram.min(), spectrogram.max()).astype(np.float32)
