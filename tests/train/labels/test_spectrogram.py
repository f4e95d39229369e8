import numpy as np
import pytest

from vivavoce.artifacts.manifest import Mel
from vivavoce.train.labels.spectrogram import log_mel, resize_time, trim


def sweep(seconds=0.7, rate=22_050):
    time = np.arange(int(seconds * rate)) / rate
    sound = np.sin(2 * np.pi * (200 * time + 2500 * time**2)) * np.sin(np.pi * time / seconds) ** 2
    return np.pad(sound, (3000, 5000)).astype(np.float32)


def test_against_librosa():
    librosa = pytest.importorskip("librosa")
    sound = sweep()
    theirs, _ = librosa.effects.trim(sound)
    np.testing.assert_array_equal(trim(sound), theirs)
    power = librosa.feature.melspectrogram(
        y=theirs, sr=22_050, hop_length=256, n_mels=64, fmax=8000, pad_mode="reflect"
    )
    expected = librosa.power_to_db(power, ref=np.max)
    np.testing.assert_allclose(log_mel(trim(sound), 64, Mel()), expected, atol=2e-3)


@pytest.mark.parametrize("frames", [40, 64, 65, 99, 200])
def test_resize_against_scipy(frames):
    ndimage = pytest.importorskip("scipy.ndimage")
    image = np.random.default_rng(0).uniform(-80, 0, (64, frames))
    sigma = max(0, (frames / 64 - 1) / 2)
    blurred = ndimage.gaussian_filter(image, (0, sigma), mode="mirror") if sigma else image
    expected = ndimage.zoom(blurred, (1, 64 / frames), order=1, mode="mirror", grid_mode=True)
    np.testing.assert_allclose(resize_time(image, 64), np.clip(expected, image.min(), image.max()), atol=1e-4)


def test_silence_trims_to_nothing():
    assert len(trim(np.zeros(5000, np.float32))) == 0
