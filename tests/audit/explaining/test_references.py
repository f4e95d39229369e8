"""The same heatmaps as captum and pytorch-grad-cam: of networks with random weights and shipped models."""

import warnings

import numpy as np
import onnx
import pytest
import torch
from networks import network, to_onnx
from rebuilt import Rebuilt, Step

from vivavoce.artifacts import open_model
from vivavoce.artifacts.onnx_model import OnnxModel
from vivavoce.audit.explaining.explainer import Explainer, Wishes
from vivavoce.audit.explaining.layers import default_layer, spatial_values
from vivavoce.audit.explaining.pixelwise import integrated_gradients
from vivavoce.audit.explaining.subject import Subject

VISION = ("resnet18", "mobilenet_v3_small", "shufflenet_v2_x0_5")
SHIPPED = ("cifar10-category", "cifar10-speech")
NAMES = ["resnet", "vgg", *(pytest.param(name, marks=pytest.mark.full) for name in (*VISION, *SHIPPED))]


def reference(module):
    """A module of captum or pytorch-grad-cam, imported by the test that needs it: that takes seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # their dependencies' own
        return pytest.importorskip(module)


@pytest.fixture(scope="module")
def captum():
    return reference("captum.attr")


@pytest.fixture(scope="module", params=NAMES)
def case(request, tmp_path_factory):
    """Name, module, its file, images, classes."""
    name, size = request.param, 64 if request.param in VISION else 32
    if name in SHIPPED:
        model = open_model(name)
        assert isinstance(model, OnnxModel)
        module = Rebuilt(model.graph)
        if model.manifest.label is not None:  # of whose scores the mean is subtracted
            module = torch.nn.Sequential(module, Centred())
    else:
        module = vision(name, size) if name in VISION else network(name)
        path = tmp_path_factory.mktemp("references") / "model.onnx"
        onnx.save(to_onnx(module, size=size), path)
        model = open_model(path)
    images = np.random.default_rng(2).random((3, 3, size, size), np.float32)
    return name, module, model, images, np.array([3, 0, 7])


class Centred(torch.nn.Module):
    """Scores minus their mean."""

    def forward(self, scores):
        return scores - scores.mean(1, keepdim=True)


def vision(name, size):
    """A network of torchvision with random weights, and batch statistics that were gathered."""
    torch.manual_seed(0)
    module = getattr(pytest.importorskip("torchvision").models, name)(weights=None, num_classes=10).eval()
    norms = [part for part in module.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    for part in norms:
        part.train().momentum = None  # the plain mean
    with torch.no_grad():
        module(torch.rand(8, 3, size, size))
    return module.eval().requires_grad_(False)


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


def test_saliency(case, captum):
    _, module, _, images, classes = case
    exact = captum.Saliency(module).attribute(
        torch.from_numpy(images).requires_grad_(), torch.from_numpy(classes), abs=False
    )
    close(explained(case, "saliency"), exact)


def test_gradient_times_input(case, captum):
    _, module, _, images, classes = case
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exact = captum.InputXGradient(module).attribute(
            torch.from_numpy(images).requires_grad_(), torch.from_numpy(classes)
        )
    close(explained(case, "gradient-x-input"), exact)


def by_captum(captum, module, images, classes):
    """Integrated gradients with one piece and fifty points."""
    return captum.IntegratedGradients(module).attribute(
        torch.from_numpy(images),
        target=torch.from_numpy(classes),
        n_steps=50,
        method="gausslegendre",
        internal_batch_size=50,
    )


def test_integrated_gradients(tmp_path, captum):
    """On a network without kinks."""
    module = network("vit")
    onnx.save(to_onnx(module), tmp_path / "vit.onnx")
    images, classes = np.random.default_rng(1).random((3, 3, 32, 32), np.float32), np.array([3, 0, 7])
    subject = Subject(open_model(tmp_path / "vit.onnx"))
    found = integrated_gradients(subject, images, classes, 1, 50, 0).attribution
    close(found, by_captum(captum, module, images, classes))


def test_integrated_gradients_differ_at_kinks_alone(case, captum):
    """Of the fifty gradients, those that float32 rounds to the other side of a ReLU's kink.

    There the gradient jumps, in torch as well. The others agree with float64.
    """
    _, module, model, images, classes = case
    subject = Subject(model)
    found = integrated_gradients(subject, images[:1], classes[:1], 1, 50, 0).attribution[0]
    points, weights = np.polynomial.legendre.leggauss(50)
    path = ((points + 1) / 2).astype(np.float32)[:, None, None, None] * images[0]
    ours = subject.gradient(path, np.full(50, classes[0]))[1]
    x = torch.from_numpy(path).double().requires_grad_()
    module.double()(x)[:, classes[0]].sum().backward()
    module.float()
    assert x.grad is not None
    exact = x.grad.numpy()
    off = np.linalg.norm((ours - exact).reshape(50, -1), axis=1)
    good = off <= 1e-5 * np.linalg.norm(exact.reshape(50, -1), axis=1)
    assert good.sum() >= 40

    def integral(slopes):
        return images[0] * np.einsum("p,pchw->chw", weights / 2 * good, slopes)

    close(integral(ours), integral(exact))
    close(found, images[0] * np.einsum("p,pchw->chw", weights / 2, ours))
    if good.all():
        close(found[None], by_captum(captum, module, images[:1], classes[:1]))


def last_block(name, module):
    """The module that makes the default layer's value."""
    blocks = {
        "resnet": lambda: module[0][5],
        "resnet18": lambda: module.layer4,
        "mobilenet_v3_small": lambda: module.features,
        "shufflenet_v2_x0_5": lambda: module.conv5,
    }
    if name in blocks:
        return blocks[name]()
    if name in SHIPPED:  # what the global pooling gets
        steps = [part for part in module.modules() if isinstance(part, Step)]
        (pooled,) = (step.node.input[0] for step in steps if step.node.op_type == "ReduceMax")
        return next(step for step in steps if step.node.output[0] == pooled)
    return [part for part in module.modules() if isinstance(part, torch.nn.ReLU)][-1]


def scaled(maps):
    low, high = (f(maps, axis=(1, 2), keepdims=True) for f in (np.min, np.max))
    return (maps - low) / np.maximum(high - low, 1e-12)


@pytest.mark.parametrize("method", ["grad-cam", "hirescam"])
def test_activation_maps(case, method):
    """After the scaling of pytorch-grad-cam to 0..1, which comes before its enlargement."""
    name, module, _, images, classes = case
    cams, targets = reference("pytorch_grad_cam"), reference("pytorch_grad_cam.utils.model_targets")
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
