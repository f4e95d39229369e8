"""The same heatmaps as captum and pytorch-grad-cam on networks with fixed random weights."""

import warnings

import numpy as np
import onnx
import pytest
import torch
from networks import network, to_onnx

from vivavoce.artifacts import open_model
from vivavoce.audit.explaining.explainer import Explainer, Wishes
from vivavoce.audit.explaining.layers import default_layer, spatial_values
from vivavoce.audit.explaining.pixelwise import integrated_gradients
from vivavoce.audit.explaining.subject import Subject

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # their dependencies' own
    captum = pytest.importorskip("captum.attr")
    cams = pytest.importorskip("pytorch_grad_cam")
    targets = pytest.importorskip("pytorch_grad_cam.utils.model_targets")


@pytest.fixture(scope="module", params=["resnet", "vgg"])
def case(request, tmp_path_factory):
    """Module, its file, images, classes."""
    module = network(request.param)
    path = tmp_path_factory.mktemp("references") / "model.onnx"
    onnx.save(to_onnx(module), path)
    images = np.random.default_rng(2).random((3, 3, 32, 32), np.float32)
    return request.param, module, open_model(path), images, np.array([3, 0, 7])


def close(found, exact):
    exact = exact.detach().numpy() if isinstance(exact, torch.Tensor) else exact
    assert found.shape == exact.shape
    assert np.linalg.norm(exact) > 0
    assert np.linalg.norm(found - exact) <= 1e-4 * np.linalg.norm(exact)


def explained(case, method, **wishes):
    _, _, model, images, classes = case
    explainer = Explainer(model, Wishes((method,), **wishes))
    explainer.check(images)
    (chosen,) = explainer.methods
    assert chosen.name == method
    return explainer.explain(chosen, images, classes).attribution


def test_saliency(case):
    _, module, _, images, classes = case
    exact = captum.Saliency(module).attribute(
        torch.from_numpy(images).requires_grad_(), torch.from_numpy(classes), abs=False
    )
    close(explained(case, "saliency"), exact)


def test_gradient_times_input(case):
    _, module, _, images, classes = case
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exact = captum.InputXGradient(module).attribute(
            torch.from_numpy(images).requires_grad_(), torch.from_numpy(classes)
        )
    close(explained(case, "gradient-x-input"), exact)


def test_integrated_gradients(tmp_path):
    """With the quadrature of captum: one piece, fifty points.

    On a network without kinks: in float32 some of the fifty points are within rounding of a Relu's.
    """
    module = network("vit")
    onnx.save(to_onnx(module), tmp_path / "vit.onnx")
    images, classes = np.random.default_rng(1).random((3, 3, 32, 32), np.float32), np.array([3, 0, 7])
    exact = captum.IntegratedGradients(module).attribute(
        torch.from_numpy(images), target=torch.from_numpy(classes), n_steps=50, method="gausslegendre"
    )
    subject = Subject(open_model(tmp_path / "vit.onnx"))
    close(integrated_gradients(subject, images, classes, 1, 50, 0).attribution, exact)


def last_block(name, module):
    """The module that makes the default layer's value, and its index in the file's order."""
    if name == "resnet":
        return module[0][5]
    return [part for part in module if isinstance(part, torch.nn.ReLU)][-1]


def scaled(maps):
    low, high = (f(maps, axis=(1, 2), keepdims=True) for f in (np.min, np.max))
    return (maps - low) / np.maximum(high - low, 1e-12)


@pytest.mark.parametrize("method", ["grad-cam", "hirescam"])
def test_activation_maps(case, method):
    """After the scaling of pytorch-grad-cam to 0..1, which comes before its enlargement."""
    name, module, _, images, classes = case
    kind = cams.GradCAM if method == "grad-cam" else cams.HiResCAM
    with kind(model=module, target_layers=[last_block(name, module)]) as cam:
        wanted = [targets.ClassifierOutputTarget(int(k)) for k in classes]
        exact = cam(input_tensor=torch.from_numpy(images).requires_grad_(), targets=wanted)
    found = explained(case, method)[:, 0]
    close(scaled(found), scaled(exact))


def test_the_default_layer_is_that_of_the_last_block(case):
    name, module, model, images, classes = case
    held = []
    hook = last_block(name, module).register_forward_hook(lambda *a: held.append(a[2]))
    module(torch.from_numpy(images))
    hook.remove()
    layer = default_layer(spatial_values(model))
    assert layer is not None
    close(Explainer(model, Wishes()).subject.inner(layer, images, classes)[0], held[0])
