import wave

import numpy as np
import pytest

from vivavoce.artifacts.manifest import Mel
from vivavoce.errors import VivavoceError
from vivavoce.sound.mel import filter_bank
from vivavoce.sound.playback import stretch, waveform, write_wav


def picture(columns=64):
    """Two ridges that rise and fall, on silence."""
    band, column = np.mgrid[0:64, 0:columns] / 64
    return (-80 + 80 * np.exp(-(((band - 0.3 - 0.2 * np.sin(4 * column)) / 0.05) ** 2))).astype(np.float32)


def test_length_range_and_repeatability():
    sound = waveform(picture(), 50, Mel())
    assert sound.dtype == np.float32
    assert len(sound) == 50 * 256
    assert np.abs(sound).max() == pytest.approx(0.9)
    np.testing.assert_array_equal(sound, waveform(picture(), 50, Mel()))
    assert len(waveform(picture(), None, Mel())) == 64 * 256


def test_the_sound_has_the_picture():
    from vivavoce.train.labels.spectrogram import log_mel

    again = log_mel(waveform(picture(), None, Mel()), 64, Mel())[:, :64]
    loud = picture() > -20
    assert np.abs(again - picture())[loud].mean() < 3


def test_silence_and_wild_predictions():
    assert not waveform(np.full((64, 64), -80, np.float32), 10, Mel()).any()
    assert np.isfinite(waveform(1000 * picture() + 40_000, 30, Mel())).all()


def test_stretch_to_its_own_length_is_the_same():
    np.testing.assert_array_equal(stretch(picture(), 64), picture())
    np.testing.assert_allclose(
        stretch(np.tile(np.arange(8.0), (2, 1)), 16)[0, 1:-1], np.arange(14) / 2 + 0.25
    )


def test_write_wav(tmp_path):
    write_wav(tmp_path / "a.wav", np.array([0, 1, -1, 2]), 22_050)
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == (22_050, 2, 1)
        assert np.frombuffer(file.readframes(9), "<i2").tolist() == [0, 32767, -32767, 32767]


def test_filter_bank_against_librosa():
    librosa = pytest.importorskip("librosa")
    expected = librosa.filters.mel(sr=22_050, n_fft=2048, n_mels=64, fmax=8000)
    np.testing.assert_allclose(filter_bank(64, Mel()), expected, atol=1e-8)
    with pytest.raises(VivavoceError, match="1000 mel bands are too many"):
        filter_bank(1000, Mel())
