"""Real files by other hands: each gives a gradient, or is refused with the reason."""

import numpy as np
import onnx
import onnxruntime
import pytest

from vivavoce.errors import VivavoceError
from vivavoce.gradient import InputGradient, support

FILES = [
    "akinobu_model", "cifar10_anshaj", "eran__mnist_relu_9_200", "fashion_bogdi", "fashion_edwin19",
    "marabou-cifar10__cifar10_medium", "marabou-cifar10__cifar10_small", "mnist_brandonki",
    "mnist_hyochan/mnist", "mnist_wuhan_lg", "oval21__cifar_deep_kw", "oval21__cifar_wide_kw",
    "verivital__Convnet_avgpool", "verivital__Convnet_maxpool", "vit_ibp_3_3_8", "vit_pgd_2_3_16",
]  # fmt: skip
COUNT = 16


def read(folder, name):
    model = onnx.load(folder / f"{name}.onnx")
    return model, model.graph.output[0].name


def images_for(gradient):
    rng = np.random.default_rng(0)
    return rng.random((COUNT, *gradient.sizes()), dtype=np.float32), np.arange(COUNT) % 10


@pytest.mark.parametrize("name", FILES)
def test_the_gradient_is_the_slope_of_the_loss(third_party, name):
    """Along the gradient itself, the loss rises by its length; kinks spoil that for a few images."""
    model, output = read(third_party, name)
    gradient = InputGradient(model, "cross-entropy", scores=output, threads=1)
    images, goals = images_for(gradient)
    _, found, _ = gradient(images, goals)
    length = np.linalg.norm(found.reshape(COUNT, -1), axis=1)
    assert length.min() > 0
    step = 2e-3 * found / length.reshape(-1, *[1] * (found.ndim - 1))
    slope = (gradient(images + step, goals)[0] - gradient(images - step, goals)[0]) / 4e-3
    assert np.median(np.abs(slope / length - 1)) < 5e-3


@pytest.mark.parametrize("name", [*FILES, "mnist_brandonki_quant"])
def test_the_scores_are_those_of_the_file(third_party, name):
    path = third_party / f"{name}.onnx"
    model, output = read(third_party, name)
    gradient = InputGradient(model, "cross-entropy", scores=output, threads=1)
    images, goals = images_for(gradient)
    scores = gradient(images, goals)[2]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    field = session.get_inputs()[0]
    pieces = [x[None] for x in images] if gradient.declared_batch else [images]
    expected = np.concatenate([np.asarray(session.run([output], {field.name: x})[0]) for x in pieces])
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_a_dynamically_quantised_file_has_the_gradient_of_its_float_twin(third_party):
    found = []
    for name in ("mnist_brandonki", "mnist_brandonki_quant"):
        model, output = read(third_party, name)
        gradient = InputGradient(model, "cross-entropy", scores=output, threads=1)
        found.append(gradient(*images_for(gradient))[1].reshape(COUNT, -1))
    a, b = found
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert np.median(cosine) >= 0.9


def test_every_operator_is_exact_or_estimated(third_party):
    for name in [*FILES, "mnist_brandonki_quant"]:
        model, output = read(third_party, name)
        assert all(entry.status != "missing" for entry in support(model, scores=output)), name


def test_two_inputs_are_refused(third_party):
    model, output = read(third_party, "mnist_akinobu_tf2onnx")
    with pytest.raises(VivavoceError, match=r"y_:0, x:0"):
        InputGradient(model, "cross-entropy", scores=output)
