"""A run with learned labels from its first step to an exported, audited, speaking file."""

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file
from short_runs import CPU, Stopped, few_digits, pixels, silent, stop_in_the_third_epoch

from vivavoce.artifacts import LabelBank, open_model
from vivavoce.artifacts.manifest import Mel
from vivavoce.audit.plan import Settings
from vivavoce.audit.protocol import PROTOCOLS
from vivavoce.audit.run import robustness
from vivavoce.errors import VivavoceError
from vivavoce.export import build
from vivavoce.serve.answers import answer_images, sound_of
from vivavoce.sound.speaking import check_voice
from vivavoce.train import run
from vivavoce.train.data import open_splits
from vivavoce.train.learned.judging import accuracy, train_mode_accuracy
from vivavoce.train.learned.lwal import start
from vivavoce.train.learned.setting_up import LEARNED
from vivavoce.train.learned.settings import resolve_settings
from vivavoce.train.loop import Trainer
from vivavoce.train.recipes import resolve, settle_batch
from vivavoce.train.setup import Choices, configure


def spoken_digits() -> LabelBank:
    labels = np.random.default_rng(0).uniform(-80, 0, (10, 64, 64)).astype(np.float32)
    classes = open_splits("digits", 0).classes
    return LabelBank("speech", labels, classes, tuple("abcdefghij"), (20,) * 10, Mel())


def begin(
    folder, name="lwal", epochs=3, resume=False, names=None, train=40, rate=1e-3, **settings
) -> Trainer:
    splits = few_digits(train, 20)
    resolved = resolve_settings(10, name, **settings)
    assert resolved is not None
    bank = start(splits.classes, resolved.label_dim or 0) if name == "lwal" else None
    changes = {"epochs": epochs, "batch_size": 20, "learning_rate": rate}
    recipe = resolve("adaptive", bank is not None, "resnet8", changes)
    label = LEARNED if bank else "category"
    config = configure(Choices("digits", label), recipe, splits, bank, resolved, names)
    run.begin(folder, config, bank, resume, names)
    return Trainer(config, bank, splits, folder, CPU)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("lwal", {"label_dim": "2C", "repel": 10.0, "label_momentum": 0.5}),
        ("lwr-port", {"refresh_every": 1}),
        ("labelembed", {}),
    ],
)
def test_a_stopped_run_resumes_to_the_same_weights_and_labels(name, settings, tmp_path):
    begin(tmp_path / "a", name, **settings).train(silent, silent)
    with pytest.raises(Stopped):
        begin(tmp_path / "b", name, **settings).train(stop_in_the_third_epoch, silent)
    again = begin(tmp_path / "b", name, resume=True, **settings)
    again.resume()
    assert len(again.history) == 2
    again.train(silent, silent)
    files = [run.RESULT, run.CHECKPOINT]
    for file in files:
        a, b = (load_file(tmp_path / part / file) for part in "ab")
        assert a.keys() == b.keys()
        assert all(torch.equal(a[k], b[k]) for k in a)
    vectors = [LabelBank.load(tmp_path / part / "vectors" / "outputs.npz").digest for part in "ab"]
    assert vectors[0] == vectors[1]


def test_fixed_batches_are_the_same_in_every_epoch(tmp_path):
    def orders(name):
        trainer = begin(tmp_path / name, name, epochs=2)
        seen = []
        batches = trainer.feed.batches
        trainer.feed.batches = lambda order: seen.append([o.tolist() for o in order]) or batches(order)
        trainer.train(silent, silent)
        return seen

    fixed, shuffled = orders("lwr-port"), orders("lwr")
    assert fixed[0] == fixed[1]
    assert shuffled[0] != shuffled[1]


def test_the_labels_of_the_best_epoch_are_the_runs_bank(tmp_path):
    trainer = begin(tmp_path / "a")
    kept = {}

    def look(epoch):
        kept[epoch.epoch] = trainer.objective.bank(trainer.bank)

    result = trainer.train(silent, look)
    assert result is not None
    bank = run.read_bank(tmp_path / "a")
    assert bank is not None
    assert bank.kind == LEARNED
    assert bank.digest == kept[result["best_epoch"]].digest
    assert len({b.digest for b in kept.values()}) == 3
    _, again, model, _ = run.load_trained(tmp_path / "a")
    assert again is not None
    with torch.no_grad():
        outputs = model(torch.from_numpy(pixels(trainer.splits.test)).float() / 255).numpy()
    nearest = np.linalg.norm(outputs[:, None] - again.labels[None], axis=2).argmin(1)
    assert result["accuracy"]["test"] == pytest.approx((nearest == trainer.splits.test.classes).mean())
    assert "test_threshold" not in result["accuracy"]


def test_labels_recomputed_at_the_end_are_means_over_the_training_set(tmp_path):
    trainer = begin(tmp_path / "a", recompute_labels=True)
    trainer.train(silent, silent)
    _, bank, model, _ = run.load_trained(tmp_path / "a")
    assert bank is not None
    part = trainer.splits.train
    with torch.no_grad():
        outputs = model(torch.from_numpy(pixels(part)).float() / 255).numpy()
    there = sorted(set(part.classes.tolist()))
    assert len(there) == 9  # and one keeps the label that it began with
    for k in there:
        np.testing.assert_allclose(bank.labels[k], outputs[part.classes == k].mean(0), rtol=1e-4, atol=1e-5)
    (absent,) = set(range(10)) - set(there)
    assert np.array_equal(bank.labels[absent], np.eye(10)[absent])


def test_judging_in_training_mode_uses_batch_statistics_and_leaves_no_trace(tmp_path):
    trainer = begin(tmp_path / "a", "std")
    before = {k: v.clone() for k, v in trainer.model.state_dict().items()}
    with torch.no_grad():  # running statistics that fit no image
        stem = trainer.model.get_submodule("encoder.stem.1")
        stem.get_buffer("running_mean").add_(50)
    off = {k: v.clone() for k, v in trainer.model.state_dict().items()}
    test = trainer.splits.test
    judged = train_mode_accuracy(trainer.contract, test, 20)
    assert all(torch.equal(v, off[k]) for k, v in trainer.model.state_dict().items())
    trainer.model.load_state_dict(before)
    assert judged == train_mode_accuracy(trainer.contract, test, 20)
    assert not trainer.model.training
    assert accuracy(trainer.contract, test, 7) == accuracy(trainer.contract, test, 20)


def test_the_test_curve_is_in_the_history(tmp_path):
    trainer = begin(tmp_path / "a", "std", train_mode_eval=True, epochs=2)
    trainer.train(silent, silent)
    lines = (tmp_path / "a" / "history.csv").read_text().splitlines()
    columns = lines[0].split(",")
    assert {"test_accuracy", "test_accuracy_train_mode"} <= set(columns)
    last = dict(zip(columns, lines[-1].split(","), strict=True))
    assert float(last["test_accuracy"]) == trainer.history[-1].test_accuracy
    assert 0 <= float(last["test_accuracy_train_mode"]) <= 1


def test_the_batch_grows_with_the_classes():
    recipe = resolve("adaptive", True, "resnet8")
    assert settle_batch(recipe, 10, None).batch_size == 500
    assert settle_batch(recipe, 100, None).batch_size == 5000
    assert settle_batch(resolve("adaptive", True, "resnet8", {"batch_size": 64}), 10, 64).batch_size == 64
    assert resolve("adaptive", True, "efficientnet-b0").learning_rate == 1e-3


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    begin(folder / "mute", label_dim="2C", train=240, epochs=5, rate=3e-3).train(silent, silent)
    begin(folder / "loud", label_dim="2C", names=spoken_digits()).train(silent, silent)
    for name, file in (("mute", "mute.onnx"), ("loud", "loud.onnx"), ("loud", "loud.pt")):
        build.export_run(folder / name, folder / file)
    return folder


def test_an_exported_model_decides_by_euclidean_distance(exported):
    model = open_model(exported / "mute.onnx")
    bank = run.read_bank(exported / "mute")
    assert bank is not None
    assert model.bank is not None
    assert np.array_equal(model.bank, bank.labels)
    images = open_splits("digits", 0).test.images[:50].astype(np.float32) / 255
    outputs = model.answer(images)
    assert outputs.label is not None
    away = np.linalg.norm(outputs.label[:, None] - bank.labels[None], axis=2)
    assert np.array_equal(outputs.scores.argmax(1), away.argmin(1))
    assert model.manifest.decoding.rule == "nearest"
    assert model.manifest.decoding.threshold is None
    assert model.manifest.schema == 1


@pytest.mark.parametrize("protocol", ["paper", pytest.param("standard", marks=pytest.mark.full)])
def test_an_exported_model_is_audited_under_both_protocols(exported, protocol):
    settings = Settings(protocol=PROTOCOLS[protocol], limit=20)
    audit = robustness(open_model(exported / "mute.onnx"), settings)
    assert audit.report.rows
    assert audit.report.clean.threshold is None
    assert audit.report.clean.accuracy >= 0.3


def test_a_model_with_silent_labels_says_so(exported):
    with pytest.raises(VivavoceError, match="no sounds of its class names"):
        check_voice(open_model(exported / "mute.onnx"))


@pytest.mark.parametrize("file", ["loud.onnx", "loud.pt"])
def test_a_model_that_was_given_sounds_says_the_name_of_the_class(file, exported):
    from vivavoce.sound.playback import waveform

    model, names = open_model(exported / file), spoken_digits()
    assert model.manifest.schema == 2
    assert model.manifest.spoken == names.spoken
    check_voice(model)
    images = open_splits("digits", 0).test.images[:1].astype(np.float32) / 255
    (answer,) = answer_images(model, images)
    sound, rate = sound_of(model, answer)
    assert rate == Mel().sample_rate
    assert np.array_equal(sound, waveform(names.labels[answer.index], 20, Mel()))
    assert answer.spoken == names.spoken[answer.index]


def test_other_runtimes_open_a_file_with_sounds(exported):
    session = onnxruntime.InferenceSession(exported / "loud.onnx")
    assert [o.name for o in session.get_outputs()] == ["scores", "label", "loss"]
