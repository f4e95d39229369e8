"""The loss of label models, term by term."""

import numpy as np
import pytest
import torch

from vivavoce.artifacts import LabelBank
from vivavoce.errors import VivavoceError
from vivavoce.train.model import Classifier
from vivavoce.train.objectives import LabelObjective
from vivavoce.train.recipes import resolve

CPU = torch.device("cpu")
PLAIN = ((0.0,) * 3, (1.0,) * 3)


@pytest.fixture
def bank() -> LabelBank:
    labels = np.random.default_rng(0).uniform(-80, 0, (5, 16, 16)).astype(np.float32)
    return LabelBank("speech", labels, tuple("abcde"))


def test_the_paper_trains_on_smooth_l1_alone(bank):
    predictions = torch.from_numpy(bank.labels[[0, 3]]) + 2 * torch.randn(2, 16, 16)
    classes = torch.tensor([1, 3])
    for name in ("paper", "short"):
        loss = LabelObjective(bank, CPU, resolve(name, True))(predictions, classes)
        assert loss.item() == pytest.approx(bank.smooth_l1(predictions.numpy())[[0, 1], [1, 3]].mean())


def test_the_terms_add_up_in_the_units_of_the_spread(bank):
    predictions = torch.from_numpy(bank.labels[[0, 3]]) + 20 * torch.randn(2, 16, 16)
    classes = torch.tensor([1, 3])
    recipe = resolve("fast", True, changes={"regression": 3.0, "cross_entropy": 0.5})
    scores = torch.from_numpy(-bank.squared_distance(predictions.numpy()) / bank.temperature)
    regression = bank.smooth_l1(predictions.numpy())[[0, 1], [1, 3]].mean() / bank.spread
    expected = 3 * regression + 0.5 * torch.nn.functional.cross_entropy(scores, classes).item()
    assert LabelObjective(bank, CPU, recipe)(predictions, classes).item() == pytest.approx(expected, rel=1e-5)


def test_a_scaled_head_starts_at_the_mean_label(bank):
    model = Classifier("resnet8", 5, (16, 16), *PLAIN, bank).eval()
    for parameter in model.head.parameters():
        torch.nn.init.zeros_(parameter)
    label = model(torch.rand(2, 3, 32, 32)).detach().numpy()
    np.testing.assert_allclose(label, np.stack([bank.labels.mean(0)] * 2), rtol=1e-5)
    assert bank.spread == pytest.approx(np.sqrt(((bank.labels - bank.labels.mean(0)) ** 2).mean()), rel=1e-5)
    plain = Classifier("resnet8", 5, (16, 16), *PLAIN)
    assert model.state_dict().keys() == plain.state_dict().keys()


@pytest.mark.parametrize("changes", [{"regression": -1.0}, {"regression": 0.0, "cross_entropy": 0.0}])
def test_weights_that_leave_nothing_to_learn_are_refused(changes):
    with pytest.raises(VivavoceError, match=r"negative|nothing is left"):
        resolve("fast", True, changes=changes)
