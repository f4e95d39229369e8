"""Grad-CAM against gradients taken by hand, and the figure against the maps."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from vivavoce.study.figures import gradcam
from vivavoce.study.figures.heat import grad_cam
from vivavoce.study.figures.sampling import sample
from vivavoce.train.encoders import ResNet, make_encoder
from vivavoce.train.model import Classifier, Contract
from vivavoce.train.run import load_trained


class Tiny(nn.Module):
    """Two channels, their means weighted into three logits: the answer can be written down."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Identity()
        self.weights = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, -1.0]])

    def forward(self, image):
        return (self.maps(image[:, :2].requires_grad_()).mean((2, 3)) @ self.weights.T,)


def test_of_a_network_that_can_be_done_on_paper():
    images = torch.rand(5, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    tiny = Tiny()
    (heat,), decided = grad_cam(tiny, [tiny.maps], images)  # type: ignore[arg-type]
    means = images[:, :2].mean((2, 3)).numpy()
    np.testing.assert_array_equal(decided, (means @ tiny.weights.numpy().T).argmax(1))
    # d logit / d map is w / 24 everywhere, so a map is the channels weighted by that, less what is negative.
    weights = tiny.weights.numpy()[decided] / 24
    by_hand = np.einsum("nc,nchw->nhw", weights, images[:, :2].numpy()).clip(min=0)
    np.testing.assert_allclose(heat, by_hand, rtol=1e-5, atol=1e-7)
    assert (by_hand == 0).any()


@pytest.mark.parametrize("kind", ["category", "speech"])
@pytest.mark.parametrize("level", [0, 1, 2])
def test_of_a_trained_network_against_autograd_by_hand(runs, trained, kind, level):
    _, bank, model, _ = load_trained(runs / f"digits-{kind}")
    images = sample(trained.finished[0], 6, 10).images
    heat, decided = grad_cam(Contract(model, bank), model.encoder.levels, images)
    encoder = model.encoder
    assert isinstance(encoder, ResNet)
    for k, image in enumerate(images):  # one at a time: an image's map must not hang on the others
        with torch.no_grad():
            maps = encoder.stages[: level + 1](encoder.stem((image[None] - model.mean) / model.std))
        maps.requires_grad_()
        features = F.adaptive_avg_pool2d(encoder.stages[level + 1 :](maps), 1).flatten(1)
        output = model.head(features)
        if bank is None:
            assert output.argmax() == decided[k]
            scalar = output[0, decided[k]]
        else:
            label = output if model.spread is None else model.centre + model.spread * output
            assert bank.squared_distance(label.detach().numpy()).argmin() == decided[k]
            scalar = -F.smooth_l1_loss(label[0], torch.from_numpy(bank.labels[decided[k]]))
        scalar.backward()
        assert maps.grad is not None
        weights = maps.grad[0].mean((1, 2))
        by_hand = torch.einsum("c,chw->hw", weights, maps.detach()[0]).clamp(min=0).numpy()
        assert by_hand.max() > 0
        np.testing.assert_allclose(heat[level][k], by_hand, rtol=1e-3, atol=1e-4 * by_hand.max())


def test_nothing_is_left_behind(runs):
    _, bank, model, _ = load_trained(runs / "digits-speech")
    grad_cam(Contract(model, bank), model.encoder.levels, torch.rand(1, 3, 32, 32))
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(layer._forward_hooks for layer in model.encoder.levels)


@pytest.mark.parametrize("name", ["mobilenet-v3-small", "densenet121"])
def test_of_networks_that_work_in_place(name):
    model = Classifier(name, 7, None, (0.0,) * 3, (1.0,) * 3)
    heat, _ = grad_cam(Contract(model, None), model.encoder.levels, torch.rand(2, 3, 64, 64))
    assert [maps.shape for maps in heat] == [(2, 16, 16), (2, 4, 4), (2, 2, 2)]
    assert all(np.isfinite(maps).all() and maps.min() >= 0 for maps in heat)


@pytest.mark.parametrize(
    ("name", "sides"), [("resnet14", (32, 16, 8)), ("resnet20", (32, 16, 8)), ("vgg19", (32, 8, 2))]
)
def test_the_levels_are_stages_1_2_3_and_blocks_1_3_5(name, sides):
    encoder, seen = make_encoder(name).eval(), []
    for layer in encoder.levels:
        layer.register_forward_hook(lambda module, given, maps: seen.append(maps))
    with torch.no_grad():
        features = encoder(torch.rand(1, 3, 32, 32))
    assert [maps.shape[2] for maps in seen] == list(sides)
    late = F.max_pool2d(seen[-1], 2) if name == "vgg19" else seen[-1]
    torch.testing.assert_close(late.mean((2, 3)), features)


def test_the_figure_shows_the_maps_of_both_kinds_on_the_same_images(trained, style):
    figure = gradcam.draw(trained, style)
    panels = np.array(figure.axes).reshape(gradcam.IMAGES, 7)
    assert [axes.get_title() for axes in panels[0]] == ["", *["early", "middle", "late"] * 2]
    assert [axes.texts[0].get_text() for axes in panels[0, [2, 5]]] == ["category", "speech"]
    images = sample(trained.finished[0], gradcam.IMAGES, gradcam.IMAGES)
    _, bank, model, _ = load_trained(trained.finished[1].folder)
    heat, decided = grad_cam(Contract(model, bank), model.encoder.levels, images.images)
    for k in range(gradcam.IMAGES):
        assert panels[k, 0].get_ylabel() == str(images.labels[k])
        np.testing.assert_array_equal(
            panels[k, 0].images[0].get_array(), images.images[k].permute(1, 2, 0).numpy()
        )
        np.testing.assert_allclose(
            panels[k, 4].images[1].get_array(), heat[0][k], rtol=1e-5
        )  # already 32 x 32
        wrong = decided[k] != images.labels[k]
        assert panels[k, 5].get_xlabel() == f"{decided[k]}{' ✗' if wrong else ''}"
