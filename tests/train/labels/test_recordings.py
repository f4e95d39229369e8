import numpy as np
import pytest
import soundfile
from banks import build_bank

from vivavoce.errors import VivavoceError


def tone(seconds=0.5, rate=22_050, channels=1):
    time = np.arange(int(seconds * rate)) / rate
    sound = 0.5 * np.sin(2 * np.pi * 440 * time) * np.exp(-3 * time / max(seconds, 0.1))
    return np.repeat(sound[:, None].astype(np.float32), channels, axis=1)


def folder_with(path, sound, rate=22_050, subtype="PCM_16"):
    soundfile.write(path / "good.wav", tone()[::-1], 22_050)
    soundfile.write(path / "odd.wav", sound, rate, subtype=subtype)
    return path


def from_folder(path):
    bank = build_bank("speech", ["good", "odd"], wavs=path)
    assert bank.frames is not None
    return bank, bank.frames


@pytest.mark.parametrize(
    ("sound", "rate", "subtype"),
    [
        (tone(channels=2), 22_050, "PCM_16"),
        (tone(rate=8000), 8000, "PCM_16"),
        (tone(rate=44_100), 44_100, "PCM_16"),
        (tone(), 22_050, "FLOAT"),
        (1.9 * tone(), 22_050, "FLOAT"),
        (tone(), 22_050, "PCM_U8"),
    ],
    ids=["stereo", "8 kHz", "44.1 kHz", "32-bit float", "float beyond 1", "8-bit"],
)
def test_recordings_that_are_handled(tmp_path, sound, rate, subtype):
    bank, frames = from_folder(folder_with(tmp_path, sound, rate, subtype))
    plain, wanted = from_folder(folder_with(tmp_path, tone(), 22_050))
    loud = plain.labels[1] > -30
    assert np.abs(bank.labels[1] - plain.labels[1])[loud].mean() < 2
    assert abs(frames[1] - wanted[1]) <= 3


def test_silence_around_the_word_is_cut(tmp_path):
    silence = np.zeros((8 * 22_050, 1))
    _, frames = from_folder(folder_with(tmp_path, np.concatenate([silence, tone(), silence])))
    _, wanted = from_folder(folder_with(tmp_path, tone()))
    assert 0 <= frames[1] - wanted[1] <= 2 * 2048 // 256  # a trim frame at either end


@pytest.mark.parametrize(
    ("sound", "subtype", "message"),
    [
        (np.zeros((0, 1)), "PCM_16", r"odd\.wav: the recording is empty"),
        (np.zeros((9000, 1)), "PCM_16", r"odd\.wav: the recording is silent"),
        (tone(0.02), "PCM_16", "20 ms of sound is too short"),
        (np.full((9000, 1), np.nan, np.float32), "FLOAT", "not numbers"),
        (0.1 * np.ones((6 * 22_050, 1)), "PCM_16", "6.0 s of sound is longer than a word"),
        (np.zeros((61 * 22_050, 1)), "PCM_16", r"odd\.wav: longer than 60 s"),
    ],
)
def test_recordings_that_are_refused(tmp_path, sound, subtype, message):
    with pytest.raises(VivavoceError, match=message):
        from_folder(folder_with(tmp_path, sound, subtype=subtype))


def test_not_a_sound_file(tmp_path):
    folder_with(tmp_path, tone())
    (tmp_path / "odd.wav").write_text("hello")
    with pytest.raises(VivavoceError, match=r"odd\.wav: not a sound file"):
        from_folder(tmp_path)


def test_files_by_name_or_by_index(tmp_path):
    for k, name in enumerate(["Ankle boot", "T-shirt_top"]):
        soundfile.write(tmp_path / f"{name}.wav", tone(0.3 + 0.2 * k), 22_050)
    by_name = build_bank("speech", ["Ankle boot", "T-shirt/top"], wavs=tmp_path)
    for k, name in enumerate(["Ankle boot", "T-shirt_top"]):
        (tmp_path / f"{name}.wav").rename(tmp_path / f"{k}.wav")
    by_index = build_bank("speech", ["Ankle boot", "T-shirt/top"], wavs=tmp_path)
    assert by_name.digest == by_index.digest
    (tmp_path / "1.wav").unlink()
    with pytest.raises(VivavoceError, match=r"no recording for class 0 'Ankle boot'"):
        build_bank("speech", ["Ankle boot", "T-shirt/top"], wavs=tmp_path)


def test_no_folder(tmp_path):
    with pytest.raises(VivavoceError, match="no such folder"):
        from_folder(tmp_path / "nowhere")
    with pytest.raises(VivavoceError, match=r"holds no \.wav"):
        from_folder(tmp_path)
