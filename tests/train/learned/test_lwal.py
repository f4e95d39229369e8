"""Adaptive labels: means, distances, gradient, schedule, repel loss."""

import numpy as np
import pytest
import torch

from vivavoce.errors import VivavoceError
from vivavoce.train.learned.lwal import AdaptiveLabels, class_means, distances, repel, start
from vivavoce.train.learned.settings import resolve_settings
from vivavoce.train.objectives import Moment

CLASSES = tuple("abc")


def objective(label_dim="C", **settings) -> AdaptiveLabels:
    resolved = resolve_settings(len(CLASSES), "lwal", label_dim, **settings)
    assert resolved is not None
    assert resolved.label_dim is not None
    return AdaptiveLabels(start(CLASSES, resolved.label_dim), resolved)


def at(step: int) -> Moment:
    return Moment(0, step, torch.arange(8))


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    outputs = torch.randn(8, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    return outputs, torch.tensor([0, 1, 1, 0, 2, 2, 2, 0])


def test_labels_become_the_class_means_of_the_batch(batch):
    outputs, classes = batch
    lwal = objective()
    lwal(outputs, classes, at(0))
    for k in range(3):
        mean = outputs[classes == k].mean(0).detach()
        assert torch.allclose(lwal.labels[k], mean, atol=1e-6)


def test_a_class_that_is_not_in_the_batch_keeps_its_label(batch):
    outputs, _ = batch
    lwal = objective()
    lwal(outputs, torch.tensor([0, 0, 0, 0, 2, 2, 2, 2]), at(0))
    assert torch.equal(lwal.labels[1], torch.tensor([0.0, 1.0, 0.0]))
    assert not torch.equal(lwal.labels[0], torch.tensor([1.0, 0.0, 0.0]))


def test_distances_are_euclidean_and_not_squared():
    found = distances(torch.tensor([[3.0, 4.0], [1.0, 1.0]]), torch.tensor([[0.0, 0.0], [1.0, 1.0]]))
    expected = [[5, np.sqrt(13)], [np.sqrt(2), 1e-6]]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6, atol=1e-9)


def test_the_loss_is_cross_entropy_on_minus_the_distances(batch):
    outputs, classes = batch
    lwal = objective()
    loss = lwal(outputs, classes, at(0)).item()
    z = outputs.detach().double().numpy()
    means = np.stack([z[classes.numpy() == k].mean(0) for k in range(3)])
    away = np.linalg.norm(z[:, None] - means[None], axis=2)
    p = np.exp(-away) / np.exp(-away).sum(1, keepdims=True)
    assert loss == pytest.approx(-np.log(p[np.arange(8), classes.numpy()]).mean(), rel=1e-5)


@pytest.mark.parametrize(
    ("every", "warm_up", "steps"),
    [(1, 0, range(9)), (3, 2, (2, 5, 8)), (2, 0, (0, 2, 4, 6, 8)), (1, 5, (5, 6, 7, 8))],
)
def test_refresh_schedule(every, warm_up, steps, batch):
    outputs, classes = batch
    lwal = objective(refresh_every=every, warm_up=warm_up)
    changed = []
    for step in range(9):
        before = lwal.labels.clone()
        lwal(outputs + step, classes, at(step))
        if not torch.equal(before, lwal.labels):
            changed.append(step)
    assert changed == list(steps)


def slope_through_labels(lwal: AdaptiveLabels, step: int, outputs, classes) -> torch.Tensor:
    """What the gradient of the outputs has more than with labels held constant."""
    labels = lwal.labels.clone()
    (whole,) = torch.autograd.grad(lwal(outputs, classes, at(step)), outputs)
    used = lwal.labels.clone()
    loss = torch.nn.functional.cross_entropy(-distances(outputs, used), classes, label_smoothing=1e-6)
    (held,) = torch.autograd.grad(loss, outputs)
    lwal.labels.copy_(labels)
    return (whole - held).abs().max()


def test_the_gradient_reaches_the_labels_on_refresh_steps_only(batch):
    outputs, classes = batch
    lwal = objective(refresh_every=3, warm_up=2)
    reached = [bool(slope_through_labels(lwal, step, outputs, classes) > 1e-4) for step in range(9)]
    assert [step for step, found in enumerate(reached) if found] == [2, 5, 8]


def test_detached_labels_are_refreshed_without_a_gradient(batch):
    outputs, classes = batch
    lwal = objective(detach_labels=True)
    assert slope_through_labels(lwal, 0, outputs, classes) < 1e-7
    lwal(outputs, classes, at(0))
    means, _ = class_means(outputs, classes, 3)
    assert torch.allclose(lwal.labels, means.detach())


def test_momentum_moves_the_labels_a_share_of_the_way(batch):
    outputs, classes = batch
    lwal = objective(label_momentum=0.25)
    lwal(outputs, classes, at(0))
    means, _ = class_means(outputs.detach(), classes, 3)
    assert torch.allclose(lwal.labels, 0.75 * torch.eye(3) + 0.25 * means)


def test_repel_is_the_masked_cosine_sum_over_all_pairs(batch):
    outputs, classes = batch
    z = outputs.detach().double().numpy()
    total = 0.0
    for i in range(8):
        for j in range(8):
            if classes[i] != classes[j]:
                total += z[i] @ z[j] / np.linalg.norm(z[i]) / np.linalg.norm(z[j])
    assert repel(outputs, classes).item() == pytest.approx(total / 64, abs=1e-6)


def test_repel_is_added_on_refresh_steps_only(batch):
    outputs, classes = batch
    plain, pushed = objective(refresh_every=2), objective(refresh_every=2, repel=10.0)
    for step, expected in ((0, 10 * repel(outputs, classes).item()), (1, 0.0)):
        more = pushed(outputs, classes, at(step)) - plain(outputs, classes, at(step))
        assert more.item() == pytest.approx(expected, abs=1e-5)


def test_judging_changes_no_label(batch):
    outputs, classes = batch
    lwal = objective(repel=10.0)
    lwal(outputs, classes)
    assert torch.equal(lwal.labels, torch.eye(3))


def test_labels_may_have_more_entries_than_classes():
    lwal = objective("10C")
    assert lwal.labels.shape == (3, 30)
    assert torch.equal(lwal.labels[:, :3], torch.eye(3))
    assert not lwal.labels[:, 3:].any()
    assert objective("7").labels.shape == (3, 7)


def test_labels_that_have_become_one_are_no_bank():
    lwal = objective()
    lwal.labels.zero_()
    with pytest.raises(VivavoceError, match="become one"):
        lwal.bank(start(CLASSES, 3))


@pytest.mark.parametrize(
    ("name", "settings", "complaint"),
    [
        ("lwl", {}, "no objective 'lwl'; there are std, static"),
        ("std", {"repel": 10.0}, "--repel is for lwal, not for std"),
        ("std", {"label_dim": "10C"}, "--label-dim is for lwal"),
        ("labelembed", {"refresh_every": 2}, "--refresh-every is for lwr and lwr-port and lwal"),
        (None, {"repel": 1.0}, "--repel needs --objective lwal"),
        ("lwal", {"label_dim": "C10"}, "give C, 10C or a number"),
        ("lwal", {"label_dim": "2"}, "fewer than the 3 classes"),
        ("lwal", {"refresh_every": 0}, "at least 1"),
        ("lwal", {"label_momentum": 0.0}, "above 0"),
    ],
)
def test_settings_that_do_not_fit_are_refused(name, settings, complaint):
    with pytest.raises(VivavoceError, match=complaint):
        resolve_settings(3, name, **settings)
