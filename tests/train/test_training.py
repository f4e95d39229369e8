"""Short runs on the digits: split, resume, refusal."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from short_runs import Stopped, bank_of, few_digits, pixels, silent, start, stop_in_the_third_epoch

from vivavoce.errors import VivavoceError
from vivavoce.train import loop, run
from vivavoce.train.data import open_splits
from vivavoce.train.evaluate import evaluate
from vivavoce.train.recipes import resolve
from vivavoce.train.setup import Choices, configure


def test_the_split_is_disjoint_and_depends_on_the_seed():
    splits = open_splits("digits", 0)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (1294, 143, 360)
    other = open_splits("digits", 1)
    assert not np.array_equal(pixels(splits.validation), pixels(other.validation))
    assert np.array_equal(pixels(splits.test), pixels(other.test))
    both = np.concatenate([pixels(splits.train), pixels(splits.validation)])
    again = np.concatenate([pixels(other.train), pixels(other.validation)])
    assert sorted(i.tobytes() for i in both) == sorted(i.tobytes() for i in again)


def test_data_levels_are_nested_and_leave_validation_alone():
    whole = open_splits("digits", 3)
    before: set[bytes] = set()
    for level in (1, 2, 4, 8, 10, 20):
        part = open_splits("digits", 3, level)
        now = {image.tobytes() for image in pixels(part.train)}
        assert len(part.train) == level * (1294 + 143) // 100
        assert before < now
        assert np.array_equal(pixels(part.train), whole.train.images[: len(part.train)])
        assert np.array_equal(pixels(part.validation), pixels(whole.validation))
        before = now
    for level in (0, 91):
        with pytest.raises(VivavoceError, match="from 1 to 90"):
            open_splits("digits", 3, level)


@pytest.mark.parametrize(("name", "flip"), [("mnist", False), ("fashion-mnist", True)])
def test_published_grey_images_become_colour_of_their_own_statistics(tmp_path, name, flip):
    images = np.random.default_rng(0).integers(0, 200, (30, 28, 28)).astype(np.uint8)
    for stem in ("train", "t10k"):
        for part, array in (("images-idx3", images), ("labels-idx1", np.arange(30, dtype=np.uint8) % 10)):
            head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
            (tmp_path / f"{stem}-{part}-ubyte").write_bytes(head + array.tobytes())
    splits = open_splits(f"{name}:{tmp_path}", 0, side=28)
    assert (splits.name, splits.flip, len(splits.train), len(splits.validation)) == (name, flip, 27, 3)
    assert splits.test.images.shape == (30, 3, 28, 28)
    assert np.array_equal(pixels(splits.test)[:, 1], images)
    assert splits.mean[0] == pytest.approx(images.mean() / 255, abs=1e-4)
    assert splits.std[0] == pytest.approx(images.std() / 255, abs=1e-4)


@pytest.mark.parametrize("kind", ["speech", "category"])
def test_a_stopped_run_resumes_to_the_same_weights(kind, tmp_path):
    splits = few_digits(96, 32)
    bank = bank_of(splits) if kind == "speech" else None
    through = start(tmp_path / "a", splits, bank)
    through.train(silent, silent)

    with pytest.raises(Stopped):
        start(tmp_path / "b", splits, bank).train(stop_in_the_third_epoch, silent)
    again = start(tmp_path / "b", splits, bank, resume=True)
    again.resume()
    assert len(again.history) == 2
    again.train(silent, silent)
    a, b = (load_file(tmp_path / name / run.RESULT) for name in "ab")
    assert a.keys() == b.keys()
    assert all(torch.equal(a[k], b[k]) for k in a)


def test_the_best_epoch_is_kept_and_judged_on_the_test_part(tmp_path):
    splits = few_digits(96, 32)
    trainer = start(tmp_path / "a", splits, None, epochs=4)
    result = trainer.train(silent, silent)
    assert result is not None
    ranks = [(e.validation_accuracy, -e.validation_loss) for e in trainer.history]
    assert result["best_epoch"] == ranks.index(max(ranks)) + 1
    _, _, model, stored = run.load_trained(tmp_path / "a")
    with torch.no_grad():
        decided = model(torch.from_numpy(pixels(splits.test)).float() / 255).argmax(1).numpy()
    assert stored["accuracy"]["test"] == pytest.approx((decided == splits.test.classes).mean())


def test_validation_is_in_the_precision_of_training_and_the_test_in_float32(tmp_path, monkeypatch):
    splits, seen = few_digits(96, 32), []

    def watched(contract, objective, part, device, **how):
        score = evaluate(contract, objective, part, device, **how)
        seen.append((len(part), how.get("precision", "float32"), score.threshold is not None))
        return score

    monkeypatch.setattr(loop, "evaluate", watched)
    trainer = start(tmp_path / "a", splits, bank_of(splits), epochs=2, precision="bfloat16")
    trainer.train(silent, silent)
    validation = (len(splits.validation), "bfloat16", False)
    assert seen == [validation, validation, (len(splits.test), "float32", True)]
    parts = trainer.contract, trainer.objective, splits.test, trainer.device
    full, half = evaluate(*parts), evaluate(*parts, precision="bfloat16")
    assert half.loss != full.loss
    assert half.loss == pytest.approx(full.loss, rel=0.02)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(tmp_path):
    splits = few_digits(96, 32)
    trainer = start(tmp_path / "a", splits, bank_of(splits), epochs=5, learning_rate=1e12)
    with pytest.raises(VivavoceError, match="--learning-rate"):
        trainer.train(silent, silent)


def test_folders_that_do_not_fit_are_refused(tmp_path):
    splits = few_digits(96, 32)
    with pytest.raises(VivavoceError, match="no run to resume"):
        start(tmp_path / "a", splits, None, resume=True)
    start(tmp_path / "a", splits, None)
    with pytest.raises(VivavoceError, match="--resume"):
        start(tmp_path / "a", splits, None)
    with pytest.raises(VivavoceError, match="a different recipe"):
        start(tmp_path / "a", splits, None, epochs=9, resume=True)
    choices = Choices("digits", "category", encoder="resnet14")
    other = configure(choices, resolve("fast", False), splits, None)
    with pytest.raises(VivavoceError, match=r"a different encoder \(resnet8, now resnet14\)"):
        run.begin(tmp_path / "a", other, None, True)
    with pytest.raises(VivavoceError, match="not finished"):
        run.load_trained(tmp_path / "a")
    with pytest.raises(VivavoceError, match="no training run"):
        run.load_trained(tmp_path / "nowhere")


def test_the_configuration_is_readable_json(tmp_path):
    start(tmp_path / "a", few_digits(96, 32), None)
    config = json.loads((tmp_path / "a" / run.CONFIG).read_text())
    assert config["recipe"]["name"] == "fast"
    assert config["encoder"] == "resnet8"
