"""A training that starts from a finished run."""

from pathlib import Path

import pytest
import torch
from short_runs import CPU, bank_of, few_digits, silent, start

from vivavoce.errors import VivavoceError
from vivavoce.train.parallel import World
from vivavoce.train.run import RESULT, read_tensors
from vivavoce.train.setup import Choices, prepare

SPLITS = few_digits(70, 20)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "first"
    start(folder, SPLITS, None, epochs=1).train(silent, lambda epoch: None)
    return folder


def following(finished, out, **choices):
    given = Choices(
        "digits", "category", weights=str(finished), changes={"epochs": 1, "batch_size": 32}, **choices
    )
    return prepare(given, out, CPU, False, World(), SPLITS)


def test_it_starts_from_the_weights_of_the_run(finished, tmp_path):
    trainer = following(finished, tmp_path / "second", seed=3)
    tensors, _ = read_tensors(finished / RESULT)
    state = trainer.model.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in tensors.items())
    trainer.train(silent, lambda epoch: None)
    assert not torch.equal(trainer.model.state_dict()["head.weight"], tensors["head.weight"])


def test_runs_that_do_not_fit_are_refused(finished, tmp_path):
    with pytest.raises(VivavoceError, match="a run of resnet8, not of resnet14"):
        following(finished, tmp_path / "other", encoder="resnet14")
    labels = bank_of(SPLITS)
    labels.save(tmp_path / "bank.npz")
    with pytest.raises(VivavoceError, match="not the weights of this network"):
        following(finished, tmp_path / "labels", bank=tmp_path / "bank.npz")
    (tmp_path / "empty").mkdir()
    with pytest.raises(VivavoceError, match=r"run\.json"):
        following(tmp_path / "empty", tmp_path / "third")
    with pytest.raises(VivavoceError, match="starts from the folder of a finished run"):
        following(Path("imagenet"), tmp_path / "fourth")
    (finished / RESULT).unlink()
    with pytest.raises(VivavoceError, match="not a finished run"):
        following(finished, tmp_path / "fifth")
