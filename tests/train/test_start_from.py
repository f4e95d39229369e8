"""A training that starts from a finished run."""

from pathlib import Path

import msgspec
import pytest
import torch
from short_runs import CPU, bank_of, few_digits, silent, start

from vivavoce.errors import VivavoceError
from vivavoce.export.build import describe
from vivavoce.train.parallel import World
from vivavoce.train.run import RESULT, read_tensors
from vivavoce.train.setup import Choices, prepare

SPLITS = few_digits(70, 20)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "first"
    start(folder, SPLITS, None, epochs=1).train(silent, lambda epoch: None)
    return folder


def following(finished, out, changes=None, **choices):
    changes = {"epochs": 1, "batch_size": 32} | (changes or {})
    weights = str(finished) if finished else None
    given = Choices("digits", "category", weights=weights, changes=changes, **choices)
    return prepare(given, out, CPU, False, World(), SPLITS)


def test_it_starts_from_the_weights_of_the_run(finished, tmp_path):
    trainer = following(finished, tmp_path / "second", seed=3)
    tensors, _ = read_tensors(finished / RESULT)
    state = trainer.model.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in tensors.items())
    trainer.train(silent, lambda epoch: None)
    assert not torch.equal(trainer.model.state_dict()["head.weight"], tensors["head.weight"])


def test_labels_of_another_shape_get_a_new_head(finished, tmp_path, capsys):
    bank_of(SPLITS).save(tmp_path / "bank.npz")
    state = following(finished, tmp_path / "second", bank=tmp_path / "bank.npz").model.state_dict()
    tensors, _ = read_tensors(finished / RESULT)
    encoder = [name for name in tensors if name.startswith("encoder.")]
    assert encoder
    assert all(torch.equal(state[name], tensors[name]) for name in encoder)
    assert f"{finished}: its labels have another shape" in capsys.readouterr().err


@pytest.mark.parametrize(
    "more", [{}, {"adversarial": {"method": "fgsm", "epsilon": "0.1"}}], ids=["", "attacked"]
)
def test_a_frozen_encoder_stays_to_the_bit(finished, tmp_path, more):
    trainer = following(finished, tmp_path / "second", {"freeze_encoder": True, "ema": 0.9}, **more)
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    trainer.train(silent, lambda epoch: None)
    for after in (trainer.model.state_dict(), trainer.judged.state_dict()):
        same = {name for name, tensor in after.items() if torch.equal(tensor, before[name])}
        assert same == {name for name in before if name.startswith("encoder.")}


def test_the_manifest_says_where_a_run_started(finished, tmp_path):
    changes = {"freeze_encoder": True}
    followed = following(
        finished, tmp_path / "second", changes, adversarial={"method": "fgsm", "epsilon": "0.1"}
    )
    result = {"epochs": 1, "accuracy": {"test": 0.5}}
    for config, started in (
        (followed.config, "(fast, 1 epochs)"),
        (msgspec.structs.replace(followed.config, weights="/home/me/imagenet"), "imagenet"),
    ):
        training = describe(config, None, result).training
        assert training
        attacked = "adversarial fgsm at 0.1, steps 1"
        assert training.recipe == f"fast, {attacked}, encoder frozen, started from {started}"


def test_a_frozen_encoder_needs_weights(tmp_path):
    with pytest.raises(VivavoceError, match="freeze_encoder trains the head alone; give --weights"):
        following(None, tmp_path / "run", {"freeze_encoder": True})


def test_runs_that_do_not_fit_are_refused(finished, tmp_path):
    with pytest.raises(VivavoceError, match="a run of resnet8, not of resnet14"):
        following(finished, tmp_path / "other", encoder="resnet14")
    (tmp_path / "empty").mkdir()
    with pytest.raises(VivavoceError, match=r"run\.json"):
        following(tmp_path / "empty", tmp_path / "third")
    with pytest.raises(VivavoceError, match="starts from the folder of a finished run"):
        following(Path("imagenet"), tmp_path / "fourth")
    (finished / RESULT).unlink()
    with pytest.raises(VivavoceError, match="not a finished run"):
        following(finished, tmp_path / "fifth")
