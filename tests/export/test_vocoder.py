"""The vocoder inside the file: the same sound as `playback`, from standard operators alone."""

from dataclasses import replace

import msgspec
import numpy as np
import onnx
import pytest

from vivavoce.artifacts import Outputs, decide, open_model
from vivavoce.artifacts.voice import FileVoice
from vivavoce.audit.plan import Settings
from vivavoce.audit.protocol import resolve
from vivavoce.audit.run import robustness
from vivavoce.errors import VivavoceError
from vivavoce.export.build import export_run
from vivavoce.export.parity import compare_sound
from vivavoce.images import Fit, open_images
from vivavoce.images.imageset import to_float
from vivavoce.serve.listening.listener import Listener
from vivavoce.sound.playback import waveform
from vivavoce.sound.vocoder import PREFIX, add_vocoder


@pytest.fixture(scope="module")
def answers():
    digits, model = open_images("digits"), open_model("digits-speech")
    images = to_float(digits.pixels(np.arange(3), Fit(32, 32)))
    return model.answer(images)


def voice_of(path, change=lambda label: label) -> FileVoice:
    """The vocoder for the labels of the shipped model, after a change of what is said of them."""
    model = open_model("digits-speech")
    label = change(model.manifest.label)
    proto = onnx.load(model.path)
    add_vocoder(proto, label)
    return FileVoice(proto, path, "cpu")


def test_outputs_size_and_operators(speaks):
    plain, model = onnx.load(open_model("digits-speech").path), onnx.load(speaks)
    assert [o.name for o in model.graph.output] == ["scores", "label", "loss", "waveform", "samples"]
    assert model.ByteSize() - plain.ByteSize() < 500_000
    assert {(o.domain, o.version) for o in model.opset_import} == {("", 18)}
    onnx.checker.check_model(model, full_check=True)


def test_the_export_puts_the_same_in(speaks, runs, tmp_path):
    export_run(runs / "digits-speech", tmp_path / "exported.onnx", audio=True)
    made, exported = (onnx.load(path).graph for path in (speaks, tmp_path / "exported.onnx"))
    assert list(made.output) == list(exported.output)
    parts = [[n for n in graph.node if n.output[0].startswith(PREFIX)] for graph in (made, exported)]
    assert parts[0] == parts[1]
    assert len(parts[0]) > 50


def test_the_whole_file_puts_out_zero_padded_sound(speaks):
    import onnxruntime

    images = to_float(open_images("digits").pixels(np.arange(3), Fit(32, 32)))
    session = onnxruntime.InferenceSession(str(speaks), providers=["CPUExecutionProvider"])
    scores, label, _, sound, samples = map(np.asarray, session.run(None, {"image": images}))
    spoken = open_model(speaks).manifest.label
    assert spoken is not None
    assert spoken.frames is not None
    assert spoken.mel is not None
    assert sound.dtype == np.float32
    assert sound.shape == (3, max(spoken.frames) * 256)
    for k, picture, own, length in zip(decide(scores), label, sound, samples, strict=True):
        assert length == spoken.frames[k] * 256
        assert not own[length:].any()
        assert np.abs(own).max() == pytest.approx(0.9)
        wanted = waveform(picture, spoken.frames[k], spoken.mel)
        assert np.corrcoef(own[:length], wanted)[0, 1] > 0.999


def test_a_sound_does_not_depend_on_its_batch(speaks, answers):
    voice = open_model(speaks).voice
    assert voice is not None
    together = voice(answers)
    for i in (0, 2):
        alone = voice(Outputs(answers.scores[i : i + 1], answers.label[i : i + 1]))[0]
        np.testing.assert_allclose(alone, together[i], atol=1e-3)


def test_silence_stays_silent(tmp_path, answers):
    silent = replace(answers, label=np.full_like(answers.label, -80))
    assert not any(sound.any() for sound in voice_of(tmp_path)(silent))


def test_labels_without_lengths_of_their_own(tmp_path, answers):
    sounds = voice_of(tmp_path, lambda label: msgspec.structs.replace(label, frames=None))(answers)
    assert [len(sound) for sound in sounds] == [64 * 256] * len(sounds)


def test_the_audit_is_that_of_the_file_without_sound(speaks):
    settings = Settings(protocol=resolve("quick", attacks=["pgd"], epsilons=[0.06]), limit=4)
    rows = [robustness(open_model(model), settings).report.rows for model in (speaks, "digits-speech")]
    own, plain = ([msgspec.structs.replace(row, seconds=0) for row in found] for found in rows)
    assert own == plain


def test_another_sound_is_refused(tmp_path, speaks, monkeypatch):
    model = open_model(speaks)
    images = to_float(open_images("digits").pixels(np.arange(2), Fit(32, 32)))
    assert compare_sound(model, images) > 0.999
    own = model.voice
    assert own is not None
    monkeypatch.setattr(model, "voice", lambda outputs: [np.roll(sound, 500) for sound in own(outputs)])
    with pytest.raises(VivavoceError, match="own sound is not that"):
        compare_sound(model, images)


@pytest.mark.parametrize(
    ("run", "suffix", "message"),
    [("digits-category", ".onnx", "not spectrograms"), ("digits-speech", ".pt", "only .onnx")],
)
def test_what_cannot_carry_sound(run, suffix, message, runs, tmp_path):
    with pytest.raises(VivavoceError, match=message):
        export_run(runs / run, tmp_path / f"x{suffix}", audio=True)
    assert not list(tmp_path.iterdir())


def read_back(path, images, labels):
    """How many of the correctly classified images are heard as what they are, and how many there are."""
    model = open_model(path)
    outputs = model.answer(images)
    right = np.flatnonzero(decide(outputs.scores) == labels)
    listener = Listener(model.manifest.spoken)
    label = model.manifest.label
    assert label is not None
    assert label.mel is not None
    assert outputs.label is not None
    assert model.voice is not None
    heard = 0
    for i in right:
        sound = model.voice(Outputs(outputs.scores[i : i + 1], outputs.label[i : i + 1]))[0]
        heard += listener.hear(sound, label.mel.sample_rate) == model.manifest.spoken[labels[i]]
    return heard, len(right)


@pytest.mark.parametrize("count", [10, pytest.param(360, marks=pytest.mark.full)])
def test_the_listener_understands_the_file(count, speaks):
    digits = open_images("digits")
    heard, right = read_back(
        speaks, to_float(digits.pixels(np.arange(count), Fit(32, 32))), digits.labels[:count]
    )
    print(f"{heard} of {right} correctly classified digits heard right")
    assert heard >= 0.95 * right
