"""Adversarial training: what is refused, the attacks, the guard, and resuming."""

import msgspec
import pytest
import torch
from safetensors.torch import load_file
from short_runs import CPU, Stopped, bank_of, few_digits, silent, start, stop_in_the_third_epoch

from vivavoce.errors import VivavoceError
from vivavoce.export.build import describe
from vivavoce.train import run
from vivavoce.train.adversarial import Adversary, climb, make_adversarial
from vivavoce.train.augment import to_unit
from vivavoce.train.doubts import doubt
from vivavoce.train.epoch import Epoch
from vivavoce.train.loop import Trainer
from vivavoce.train.parallel import World
from vivavoce.train.setup import Choices, prepare

PLANS = {
    "pgd": ("pgd", "0.1", 2),
    "fgsm": ("fgsm", "0.1"),
    "trades": ("trades", "0.1", 2),
    "smooth-l1": ("pgd", "0.1", 2, "smooth-l1"),
}


def robust(folder, plan, labels=True, resume=False, epochs=3) -> Trainer:
    splits = few_digits(64, 16)
    bank = bank_of(splits) if labels else None
    made = start(folder, splits, bank, epochs=epochs, resume=resume)
    config = msgspec.structs.replace(made.config, adversarial=make_adversarial(*PLANS[plan]))
    return Trainer(config, bank, splits, folder, CPU)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"method": "cw"}, "give pgd, fgsm, trades"),
        ({"method": "pgd", "epsilon": "0"}, "above 0 and below 1"),
        ({"method": "pgd", "epsilon": "8"}, "above 0 and below 1"),
        ({"method": "pgd", "epsilon": "-1/255"}, "above 0 and below 1"),
        ({"method": "pgd", "epsilon": "nan"}, "a number or a fraction"),
        ({"method": "pgd", "epsilon": "8/0"}, "a number or a fraction"),
        ({"method": "pgd", "epsilon": ""}, "a number or a fraction"),
        ({"method": "pgd", "loss": ""}, "scores or smooth-l1"),
        ({"method": "pgd", "epsilon": "a little"}, "a number or a fraction"),
        ({"method": "pgd", "steps": 0}, "at least 1"),
        ({"method": "fgsm", "steps": 3}, "pgd takes more"),
        ({"method": "pgd", "loss": "hinge"}, "scores or smooth-l1"),
        ({"method": "trades", "loss": "smooth-l1"}, "trades has its own"),
        ({"method": None, "steps": 3}, "--adversarial-steps needs --adversarial"),
        ({"method": None, "epsilon": "0.1"}, "--adversarial-epsilon needs --adversarial"),
    ],
)
def test_choices_that_cannot_be_are_refused(given, complaint):
    with pytest.raises(VivavoceError, match=complaint) as refused:
        make_adversarial(**given)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("choices", "complaint"),
    [
        ({"adversarial": {"method": "pgd", "loss": "smooth-l1"}}, "which category lacks"),
        ({"adversarial": {"method": "pgd"}, "objective": {"name": "lwal"}}, "leave --objective out"),
    ],
)
def test_choices_that_do_not_fit_the_labels_are_refused(choices, complaint, tmp_path):
    with pytest.raises(VivavoceError, match=complaint):
        prepare(
            Choices("digits", "category", **choices), tmp_path / "a", CPU, False, World(), few_digits(96, 32)
        )
    assert not (tmp_path / "a").exists()


def test_the_settings_in_words():
    assert str(make_adversarial("pgd")) == "adversarial pgd at 8/255, steps 7"
    assert str(make_adversarial("fgsm", "0.1")) == "adversarial fgsm at 0.1, steps 1"
    assert "on smooth-l1 at" in str(make_adversarial("pgd", loss="smooth-l1"))


@pytest.mark.parametrize("plan", PLANS)
def test_attacks_raise_the_loss_within_their_ball(plan, tmp_path):
    trainer = robust(tmp_path / "a", plan)
    adversary, part = trainer.adversary, trainer.splits.train
    assert isinstance(adversary, Adversary)
    images, classes = to_unit(torch.from_numpy(part.images[:48])), torch.from_numpy(part.classes[:48])
    noise = adversary.noise(images.shape, torch.Generator().manual_seed(0))
    before = {k: v.clone() for k, v in trainer.model.state_dict().items()}
    moved = adversary.attack(trainer.model, images, classes, noise)
    assert all(torch.equal(v, before[k]) for k, v in trainer.model.state_dict().items())
    largest = 0.3 if plan == "fgsm" else 0.1
    assert (moved - images).abs().max() <= largest + 1e-6
    assert moved.min() >= 0
    assert moved.max() <= 1
    with torch.no_grad():
        random = (images + noise).clamp(0, 1)
        losses = [adversary._objective(trainer.model(x), classes) for x in (random, moved)]
    assert losses[1] > losses[0]


def test_pgd_by_hand():
    """On a linear loss every step goes to the gradient's side, and the last ends on the ball's border."""
    images = torch.tensor([[0.5, 0.5, 0.05]])
    slope = torch.tensor([[1.0, -2.0, -1.0]])
    plan = make_adversarial("pgd", "0.1", 4)
    assert plan is not None
    moved = climb(lambda x: (x * slope).sum(), images, torch.zeros(1, 3), plan)
    assert moved.tolist()[0] == pytest.approx([0.6, 0.4, 0.0])
    single = make_adversarial("fgsm", "0.1")
    assert single is not None
    moved = climb(lambda x: (x * slope).sum(), images, torch.tensor([[0.2, 0.2, 0.0]]), single)
    assert moved.tolist()[0] == pytest.approx([0.8, 0.6, 0.0])


@pytest.mark.parametrize(("plan", "labels"), [("fgsm", True), ("trades", False)])
def test_a_stopped_run_resumes_to_the_same_weights(plan, labels, tmp_path):
    robust(tmp_path / "a", plan, labels).train(silent, silent)

    with pytest.raises(Stopped):
        robust(tmp_path / "b", plan, labels).train(stop_in_the_third_epoch, silent)
    again = robust(tmp_path / "b", plan, labels, resume=True)
    again.resume()
    assert len(again.history) == 2
    again.train(silent, silent)
    for file in (run.RESULT, run.CHECKPOINT):
        a, b = (load_file(tmp_path / name / file) for name in "ab")
        assert all(torch.equal(a[k], b[k]) for k in a)


def test_the_manifest_says_it(tmp_path):
    trainer = robust(tmp_path / "a", "pgd", epochs=1)
    result = trainer.train(silent, silent)
    assert result is not None
    assert result["accuracy"]["validation_robust"] == trainer.history[0].robust_accuracy
    training = describe(trainer.config, trainer.bank, result).training
    assert training is not None
    assert training.recipe == "fast, adversarial pgd at 0.1, steps 2"


def test_the_best_epoch_is_the_most_robust():
    first = Epoch(1, 0.1, 1.0, 1.0, 0.9, 1.0, robust_accuracy=0.3)
    second = Epoch(2, 0.1, 1.0, 1.0, 0.7, 1.0, robust_accuracy=0.4)
    assert second.rank > first.rank
    assert "robust 40.00%" in second.line(2)


def curve(*epochs) -> list[Epoch]:
    """A run whose epochs have these accuracies: of validation, and under PGD and one step if given."""
    return [
        Epoch(n, 0.1, 1.0, 1.0, accuracies[0], 1.0, None, None, *accuracies[1:])
        for n, accuracies in enumerate(epochs, 1)
    ]


@pytest.mark.parametrize(
    ("history", "classes", "reason"),
    [
        (curve((0.1,), (0.12,)), 10, "did not learn: validation accuracy 12.0% at best, 10.0% by guessing"),
        (curve((0.52,)), 2, "did not learn"),
        (curve((0.03,)), 100, None),
        (curve((0.3,), (0.9,), (0.2,)), 10, "fell from 90.0% to 20.0%; epoch 2 is kept"),
        (
            curve((0.8, 0.4, 0.5), (0.5, 0.1, 0.6), (0.4, 0.1, 0.6)),
            10,
            "overfitting from epoch 2 to the end; epoch 1",
        ),
        (curve((0.5, 0.1, 0.6), (0.9, 0.5, 0.6)), 10, None),  # it recovered
        (curve((0.3,), (0.9,), (0.8,)), 10, None),
        ([Epoch(1, 0.1, 7.8e16, 1.0, 0.1, 1.0)], 10, "diverged: training loss 7.8e+16; try a lower"),
        ([], 10, None),
    ],
)
def test_runs_that_went_wrong_are_found(history, classes, reason):
    found = doubt(history, classes)
    assert (reason or "") in (found or "")
    assert (found is None) == (reason is None)


def test_catastrophic_overfitting_is_said():
    figures = (1, 0.1, 1.0, 1.0, 0.9, 1.0)
    lost = Epoch(*figures, robust_accuracy=0.01, single_step_accuracy=0.8)
    assert "catastrophic overfitting: 80.00% withstand one step" in lost.line(2)
    sound = Epoch(*figures, robust_accuracy=0.4, single_step_accuracy=0.45)
    untrained = Epoch(*figures, robust_accuracy=0.05, single_step_accuracy=0.12)
    for epoch in (sound, untrained, Epoch(*figures, robust_accuracy=0.0), Epoch(*figures)):
        assert "catastrophic" not in epoch.line(2)
