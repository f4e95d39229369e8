"""Retrospection, label embedding and static vectors, term by term on batches made by hand."""

import numpy as np
import pytest
import torch
from torch import nn

from vivavoce.artifacts import LabelBank
from vivavoce.train.learned.labelembed import LabelEmbedding
from vivavoce.train.learned.labelembed_port import LabelEmbeddingPort
from vivavoce.train.learned.lwr import Retrospection
from vivavoce.train.learned.lwr_port import RetrospectionPort
from vivavoce.train.learned.static import StaticLabels
from vivavoce.train.model import Classifier
from vivavoce.train.objectives import LogitObjective, Moment

EPOCHS = 10


def at(epoch: int, indices=(0, 1)) -> Moment:
    return Moment(epoch, 0, torch.tensor(indices))


def softmax(z, temperature=1.0):
    e = np.exp(np.asarray(z, np.float64) / temperature)
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize("made", [Retrospection, RetrospectionPort])
def test_answers_are_stored_in_epochs_k_and_2k_only(made):
    lwr = made(4, 3, EPOCHS, 3)
    stored = []
    for epoch in range(EPOCHS):
        before = lwr.stored.clone()
        lwr(
            torch.full((2, 3), 1.0) + torch.tensor([epoch, 0.0, 0.0]), torch.tensor([0, 1]), at(epoch, (1, 3))
        )
        if not torch.equal(before, lwr.stored):
            stored.append(epoch + 1)
            assert not lwr.stored[[0, 2]].any()
    assert stored == [3, 6, 9]


def test_stored_answers_are_softened():
    lwr = Retrospection(2, 3, EPOCHS, 1)
    logits = torch.tensor([[1.0, 5.0, -2.0], [0.0, 0.0, 9.0]])
    lwr(logits, torch.tensor([1, 2]), at(0))
    np.testing.assert_allclose(lwr.stored.numpy(), softmax(logits.numpy(), 5.0), rtol=1e-5)


def after_first_store(made, every=2):
    lwr = made(2, 3, EPOCHS, every)
    then = torch.tensor([[1.0, 5.0, -2.0], [0.0, 0.0, 9.0]])
    lwr(then, torch.tensor([1, 2]), at(every - 1))
    return lwr, softmax(then.numpy(), 5.0)


def test_cross_entropy_alone_up_to_epoch_k():
    classes, logits = torch.tensor([1, 0]), torch.randn(2, 3)
    for made in (Retrospection, RetrospectionPort):
        lwr = made(2, 3, EPOCHS, 2)
        for epoch in range(2):
            assert lwr(logits, classes, at(epoch)).item() == pytest.approx(
                LogitObjective()(logits, classes).item()
            )


def test_retrospection_as_its_own_paper():
    lwr, stored = after_first_store(Retrospection)
    now, classes = torch.tensor([[0.5, 1.0, 2.0], [1.0, -1.0, 3.0]]), torch.tensor([1, 2])
    soft, sharp = softmax(now.numpy(), 5.0), softmax(now.numpy())
    divergence = 25 * (stored * np.log(stored / soft)).sum(1).mean()
    plain = -np.log(sharp[[0, 1], [1, 2]]).mean()
    for epoch, c in ((2, 2), (4, 4)):  # epochs 3 and 5, counted from 1
        lwr_now = lwr if epoch == 2 else after_first_store(Retrospection)[0]
        share = 0.9 * c / (1.2 * EPOCHS)
        expected = (1 - share) * plain + share * divergence
        assert lwr_now(now, classes, at(epoch)).item() == pytest.approx(expected, rel=1e-5)


def test_retrospection_as_ported():
    lwr, stored = after_first_store(RetrospectionPort)
    now, classes = torch.tensor([[0.5, 1.0, 2.0], [1.0, -1.0, 3.0]]), torch.tensor([1, 2])
    sharp = softmax(now.numpy())
    divergence = (stored * np.log(stored / sharp)).sum(1).mean()
    plain = -np.log(sharp[[0, 1], [1, 2]]).mean()
    share = 0.9 * 3 / EPOCHS
    assert lwr(now, classes, at(2)).item() == pytest.approx(
        (1 - share) * plain + share * divergence, rel=1e-5
    )


def test_the_published_weights_at_200_epochs():
    lwr = Retrospection(1, 2, 200, 5)
    assert [lwr.weight(e) for e in (6, 9, 10, 200)] == pytest.approx([0.9 * c / 240 for c in (5, 5, 10, 200)])
    assert [Retrospection.fixed_batches, RetrospectionPort.fixed_batches] == [False, True]


@pytest.fixture
def network() -> Classifier:
    return Classifier("resnet8", 3, None, (0.0,) * 3, (1.0,) * 3)


FIRST = torch.tensor([[2.0, 0.0, -1.0], [0.0, 0.5, 0.0], [1.0, 1.0, 3.0]])
SECOND = torch.tensor([[6.0, 0.0, 0.0], [1.6, 0.0, 1.0], [0.0, 8.0, 2.2]])
TRUE = torch.tensor([0, 2, 1])


def test_label_embedding_terms(network):
    first, second, p = softmax(FIRST.numpy()), softmax(SECOND.numpy()), softmax(SECOND.numpy(), 2.0)
    rows = softmax(np.eye(3))[TRUE.numpy()]
    which = np.arange(3), TRUE.numpy()
    right = np.array([1, 0, 1])
    expected = (
        0.5 * -np.log(first[which]).mean(),
        0.5 * -(rows * np.log(first)).sum(1).mean(),
        -np.log(second[which]).mean(),
        (right * -(p * np.log(rows)).sum(1)).sum() / 2,
        np.maximum(second[which] - 0.9, 0).sum(),
    )
    found = LabelEmbedding(network, 3).terms(FIRST, SECOND, TRUE)
    assert [t.item() for t in found] == pytest.approx(expected, rel=1e-5)
    assert expected[4] > 0.1


def test_label_embedding_as_ported_mistakes_values_for_places(network):
    port = LabelEmbeddingPort(network, 3)
    assert port.counted(SECOND, TRUE).tolist() == [0, 1, 0]  # rounded maxima 6, 2, 8
    second = torch.tensor([[0.0, 0.0, 0.0], [0.0, 9.0, 0.0], [0.0, 0.0, 9.0]])
    sure = softmax(second.numpy())[1].max() - 0.9
    assert port.certainty(second, TRUE).item() == pytest.approx(sure, rel=1e-4)
    whole, ported = LabelEmbedding(network, 3).terms(FIRST, SECOND, TRUE), port.terms(FIRST, SECOND, TRUE)
    assert [a.item() for a in whole[:3]] == [a.item() for a in ported[:3]]


def test_which_gradients_reach_what(network):
    embedding = LabelEmbedding(network, 3)
    first, second = FIRST.clone().requires_grad_(), SECOND.clone().requires_grad_()
    terms = embedding.terms(first, second, TRUE)
    leaves = [first, second, embedding.table]
    reached = []
    for term in terms:
        slopes = torch.autograd.grad(term, leaves, allow_unused=True, retain_graph=True)
        reached.append([slope is not None for slope in slopes])
    assert reached == [
        [True, False, False],
        [True, False, False],
        [False, True, False],
        [False, False, True],
        [False, True, False],
    ]


def test_the_second_head_sees_features_that_it_does_not_train(network):
    embedding = LabelEmbedding(network, 3)
    network.train()
    loss = embedding(network(torch.rand(4, 3, 32, 32)), torch.tensor([0, 1, 2, 0]), at(0, (0, 1, 2, 3)))
    loss.backward()
    assert embedding.second.weight.grad is not None
    assert embedding.table.grad is not None
    assert isinstance(network.head, nn.Linear)
    network.zero_grad()
    second = embedding.second(embedding._features)
    second.sum().backward()
    assert all(p.grad is None for p in network.parameters())


def test_static_labels_are_judged_by_huber():
    labels = np.array([[0.0, 0.0], [10.0, -10.0]], np.float32)
    static = StaticLabels(LabelBank("bert-vector", labels, ("a", "b")))
    predictions = torch.tensor([[0.5, -3.0], [10.0, -9.0]])
    expected = (0.5 * 0.25 + 2.5 + 0 + 0.5) / 4
    assert static(predictions, torch.tensor([0, 1])).item() == pytest.approx(expected)
