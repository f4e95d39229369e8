"""The released code's attacks against a loop in torch that never clears the gradient."""

import numpy as np
import pytest
import torch

from vivavoce.artifacts import open_model
from vivavoce.audit.attacks.base import Goal
from vivavoce.audit.attacks.released import ReleasedFGSM, ReleasedIterative
from vivavoce.audit.attacks.streams import Streams
from vivavoce.audit.protocol import resolve, target_classes
from vivavoce.audit.target import Target
from vivavoce.images import Fit, open_images
from vivavoce.images.imageset import to_float
from vivavoce.train.model import Contract
from vivavoce.train.run import load_trained

EPSILON = 0.2


@pytest.fixture(scope="module")
def case(runs):
    images = open_images("digits")
    few = np.arange(0, 360, 24)
    _, bank, model, _ = load_trained(runs / "digits-speech")
    twin = Contract(model, bank).eval().requires_grad_(False)
    labels = images.labels[few]
    goals = target_classes(images.labels, 10, 0)[few]
    return to_float(images.pixels(few, Fit(32, 32))), labels, goals, twin


def ours(attack, case, targeted):
    clean, labels, goals, _ = case
    model = open_model("digits-speech")
    ball = resolve("paper").ball(EPSILON, model.manifest.input)
    goal = Goal(labels, goals if targeted else None)
    streams = Streams.of(0, attack.name, np.arange(len(labels)))
    return next(iter(attack.sweep(Target(model), clean, goal, [ball], streams)))


def normalised_twin(case):
    """The twin on normalised images, as the released code attacks it."""
    mean, std = case[3].model.mean, case[3].model.std
    return (torch.from_numpy(case[0]) - mean) / std, lambda x: case[3](x * std + mean), mean, std


def loss_of(outputs, classes):
    return outputs[2].gather(1, torch.from_numpy(classes)[:, None]).sum()


@pytest.mark.parametrize("targeted", [False, True])
def test_fgsm_is_clamped_to_each_images_own_range(case, targeted):
    x, model, mean, std = normalised_twin(case)
    x.requires_grad_(True)
    loss_of(model(x), case[2] if targeted else case[1]).backward()
    sign = -1 if targeted else 1
    moved = x.detach() + sign * EPSILON * x.grad.sign()  # type: ignore[union-attr]
    low, high = (
        end(dim=1).values[:, None, None, None]
        for end in (x.detach().flatten(1).min, x.detach().flatten(1).max)
    )
    expected = torch.max(torch.min(moved, high), low) * std + mean
    assert np.mean(np.abs(ours(ReleasedFGSM(), case, targeted) - expected.numpy()) < 1e-4) > 0.999


@pytest.mark.parametrize("targeted", [False, True])
def test_iterative_follows_the_sum_of_its_gradients(case, targeted):
    x, model, mean, std = normalised_twin(case)
    total = torch.zeros_like(x)
    for _ in range(5):
        x = x.detach().requires_grad_(True)
        loss_of(model(x), case[2] if targeted else case[1]).backward()
        total += x.grad  # type: ignore[operator]
        x = x.detach() + (-1 if targeted else 1) * EPSILON / 5 * total.sign()
    expected = (x * std + mean).numpy()
    found = ours(ReleasedIterative(), case, targeted)
    assert np.mean(np.abs(found - expected) < 1e-3) > 0.99
    assert found.min() < 0, "it does not heed the range of pixels"
