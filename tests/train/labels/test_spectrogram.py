import numpy as np
import pytest

from vivavoce.artifacts.manifest import Mel
from vivavoce.errors import VivavoceError
from vivavoce.sound.mel import filter_bank, hann
from vivavoce.train.labels.spectrogram import log_mel, resize_time, speech_label, trim


def sweep(seconds=0.7, rate=22_050):
    time = np.arange(int(seconds * rate)) / rate
    sound = np.sin(2 * np.pi * (200 * time + 2500 * time**2)) * np.sin(np.pi * time / seconds) ** 2
    return np.pad(sound, (3000, 5000)).astype(np.float32)


def test_the_recipe_step_by_step_in_numpy():
    """Frames, Hann window, Slaney filters, decibels: written out from the paper, without librosa."""
    sound, mel = trim(sweep()), Mel()
    padded = np.pad(sound, mel.n_fft // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, mel.n_fft)[:: mel.hop]
    power = np.abs(np.fft.rfft(frames * hann(mel.n_fft), axis=1)) ** 2
    bands = np.maximum(filter_bank(64, mel) @ power.T, 1e-10)
    expected = np.maximum(10 * np.log10(bands / bands.max()), mel.floor)
    np.testing.assert_allclose(log_mel(sound, 64, mel), expected, atol=2e-3)


@pytest.mark.parametrize("frames", [40, 64, 65, 99, 200])
def test_resize_is_a_blur_and_linear_interpolation_between_pixel_centres(frames):
    image = np.random.default_rng(0).uniform(-80, 0, (64, frames))
    sigma = (frames / 64 - 1) / 2
    if sigma > 0:
        radius = int(4 * sigma + 0.5)
        weight = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
        padded = np.pad(image, ((0, 0), (radius, radius)), mode="reflect")
        blurred = np.array([np.convolve(row, weight / weight.sum(), mode="valid") for row in padded])
    else:
        blurred = image
    centres = (np.arange(64) + 0.5) * frames / 64 - 0.5
    mirrored = np.pad(blurred, ((0, 0), (1, 1)), mode="reflect")
    expected = [np.interp(centres, np.arange(-1, frames + 1), row) for row in mirrored]
    np.testing.assert_allclose(resize_time(image, 64), np.clip(expected, image.min(), image.max()), atol=1e-4)


def test_silence_trims_to_nothing():
    assert len(trim(np.zeros(5000, np.float32))) == 0


def test_too_many_bands_are_refused():
    with pytest.raises(VivavoceError, match="1000 mel bands are too many"):
        speech_label(sweep(), 22_050, 1000, Mel())
