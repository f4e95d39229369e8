"""Parameter counts of Chen et al. 2021, tables 3 and 4, and the shapes that the contract asks for."""

import numpy as np
import pytest
import torch

from vivavoce.artifacts import LabelBank
from vivavoce.errors import VivavoceError
from vivavoce.train.decoder import LabelDecoder
from vivavoce.train.encoders import make_encoder
from vivavoce.train.model import Classifier, LabelAnswers
from vivavoce.train.objectives import LogitObjective

PLAIN = ((0.0,) * 3, (1.0,) * 3)


@pytest.mark.parametrize(
    ("encoder", "classes", "label_shape", "parameters"),
    [
        ("vgg19", 10, None, 20_040_522),
        ("resnet32", 10, None, 466_906),
        ("resnet110", 10, None, 1_730_714),
        ("vgg19", 100, None, 20_086_692),
        ("resnet32", 100, None, 472_756),
        ("resnet110", 100, None, 1_736_564),
        ("vgg19", 100, (64, 64), 20_178_281),
        ("resnet32", 10, (64, 64), 579_577),
        ("resnet110", 100, (64, 64), 1_843_385),
    ],
)
def test_parameter_counts(encoder, classes, label_shape, parameters):
    model = Classifier(encoder, classes, label_shape, *PLAIN)
    assert sum(p.numel() for p in model.parameters()) == parameters


@pytest.mark.parametrize("size", [8, 16, 32, 48, 64, 128])
def test_the_decoder_makes_the_label_size(size):
    assert LabelDecoder(64, size)(torch.zeros(2, 64)).shape == (2, size, size)


@pytest.mark.parametrize(
    ("name", "message"),
    [("resnet9", "6n \\+ 2"), ("resnet2", "6n \\+ 2"), ("resnet", "6n \\+ 2"), ("vgg", "did you mean vgg19")],
)
def test_unknown_encoders_are_refused(name, message):
    with pytest.raises(VivavoceError, match=message):
        make_encoder(name)


def test_unfit_label_sizes_are_refused():
    with pytest.raises(VivavoceError, match="label size 40"):
        LabelDecoder(64, 40)


def test_scores_and_losses_are_the_banks():
    generator = np.random.default_rng(0)
    labels = generator.uniform(-80, 0, (5, 64, 64)).astype(np.float32)
    bank = LabelBank("speech", labels, tuple("abcde"))
    predictions = labels[[0, 3, 3]] + generator.normal(0, 4, (3, 64, 64)).astype(np.float32)
    answers = LabelAnswers(bank)
    scores = answers.scores(torch.from_numpy(predictions)).numpy()
    exact = -bank.squared_distance(predictions) / bank.temperature
    np.testing.assert_allclose(scores, exact, rtol=1e-5, atol=1e-5)
    losses = answers.loss(torch.from_numpy(predictions)).numpy()
    np.testing.assert_allclose(losses, bank.smooth_l1(predictions), rtol=1e-5)


def test_vector_labels_take_the_linear_head():
    assert Classifier("resnet32", 10, (10,), *PLAIN).head(torch.zeros(2, 64)).shape == (2, 10)
    assert Classifier("resnet32", 100, (50,), *PLAIN).head(torch.zeros(2, 64)).shape == (2, 50)


def test_smoothing_spreads_its_share_over_the_other_classes():
    logits = torch.randn(5, 10, dtype=torch.float64)
    classes = torch.arange(5)
    target = torch.full((5, 10), 0.1 / 9, dtype=torch.float64)
    target[torch.arange(5), classes] = 0.9
    expected = -(target * logits.log_softmax(1)).sum(1).mean()
    ours = LogitObjective(smoothing=0.1)(logits, classes)
    assert ours.item() == pytest.approx(expected.item())
