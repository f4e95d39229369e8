"""One rule decides who speaks, for every command."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
import soundfile

from vivavoce.artifacts import open_model
from vivavoce.artifacts.manifest import Names
from vivavoce.audit import Settings, resolve, robustness
from vivavoce.audit.writing.outputs import check_sounds, write_sounds
from vivavoce.console import Losses
from vivavoce.errors import VivavoceError
from vivavoce.serve.answers import answer_images, sound_of
from vivavoce.sound.speaking import says_names, speaks


@pytest.fixture
def silent():
    """A one-hot model that carries the sounds of its class names."""
    model, speaking = open_model("digits-category"), open_model("digits-speech")
    label = speaking.manifest.label
    assert label is not None
    assert label.mel is not None
    names = Names((64, 64), label.mel, label.frames)
    model.manifest = msgspec.structs.replace(model.manifest, schema=2, names=names)
    model.name_audio = speaking.bank
    return model


def test_stored_names_are_heard_in_an_audit_as_in_classify(silent, tmp_path):
    folder = tmp_path / "new" / "sounds"
    check_sounds(silent, folder)
    audit = robustness(silent, Settings(protocol=resolve("paper", ["fgsm"], [0.3]), limit=10))
    losses = Losses()
    write_sounds([audit], folder, losses)
    losses.end()
    example = audit.evaluation.examples[0]
    index = audit.report.images[example.place].index
    (answer,) = answer_images(silent, example.adversarial[None])
    expected, rate = sound_of(silent, answer)
    heard, heard_rate = soundfile.read(folder / f"image-{index}-adversarial.wav")
    assert heard_rate == rate
    np.testing.assert_allclose(heard, expected, atol=1e-4)
    quick = msgspec.structs.replace(audit.report, protocol=resolve("quick"))
    write_sounds([audit, replace(audit, report=quick)], folder, losses)
    names = {path.name for path in folder.iterdir()}
    for protocol in ("", "paper-", "quick-"):
        assert f"{protocol}image-{index}-clean.wav" in names


def test_an_audit_without_examples_says_why_there_are_no_sounds(silent, tmp_path, capsys):
    audit = robustness(silent, Settings(protocol=resolve("paper", ["fgsm"], [0.0]), limit=2))
    write_sounds([audit], tmp_path, Losses())
    assert not list(tmp_path.iterdir())
    assert "no image was lost" in capsys.readouterr().err


def test_who_speaks(silent, tmp_path):
    assert speaks(silent)
    assert says_names(silent)
    assert speaks(open_model("digits-speech"))
    assert not says_names(open_model("digits-speech"))
    mute = open_model("digits-category")
    assert not speaks(mute)
    with pytest.raises(VivavoceError, match="does not speak"):
        check_sounds(mute, tmp_path)
