"""torchvision's networks as encoders."""

import pytest
import torch
from safetensors.torch import save_file

from vivavoce.errors import VivavoceError
from vivavoce.train.backbones import BACKBONES, Backbone
from vivavoce.train.encoders import make_encoder
from vivavoce.train.model import Classifier

PLAIN = ((0.0,) * 3, (1.0,) * 3)
FEATURES = {
    "resnet50": 2048,
    "efficientnet-b0": 1280,
    "densenet121": 1024,
    "mobilenet-v3-small": 576,
    "mobilenet-v3-large": 960,
}


@pytest.mark.parametrize("name", [*BACKBONES])
def test_every_backbone_takes_both_heads_and_any_size(name):
    model = Classifier(name, 7, (48, 48), *PLAIN).eval()
    assert model.encoder.features == FEATURES[name]
    with torch.no_grad():
        for size in (32, 56):
            assert model(torch.rand(2, 3, size, size)).shape == (2, 48, 48)
    linear = Classifier(name, 7, None, *PLAIN).head
    assert linear.weight.shape == (7, FEATURES[name])


@pytest.mark.parametrize("name", [*BACKBONES])
def test_the_levels_are_4_16_and_32_times_smaller(name):
    model, seen = Classifier(name, 7, None, *PLAIN).eval(), []
    for layer in model.encoder.levels:
        layer.register_forward_hook(lambda module, given, maps: seen.append(maps.shape[2:]))
    with torch.no_grad():
        model(torch.rand(1, 3, 128, 128))
    assert [tuple(sides) for sides in seen] == [(32, 32), (8, 8), (4, 4)]


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_weights_are_taken_from_a_file_but_for_the_head(tmp_path, suffix):
    from torchvision import models

    theirs = models.mobilenet_v3_small(weights=None).eval()
    path = tmp_path / f"weights{suffix}"
    state = {k: v.clone() for k, v in theirs.state_dict().items()}
    if suffix == ".pth":
        torch.save(state, path)
    else:
        save_file(state, path)
    ours = Backbone("mobilenet-v3-small").eval()
    ours.load(str(path))
    images = torch.rand(2, 3, 40, 40)
    with torch.no_grad():
        expected = theirs.avgpool(theirs.features(images)).flatten(1)
        assert torch.allclose(ours(images), expected, atol=1e-5)


def test_weights_that_do_not_fit_are_refused(tmp_path):
    network = Backbone("mobilenet-v3-small")
    with pytest.raises(VivavoceError, match="no such file of weights"):
        network.load(str(tmp_path / "absent.pth"))
    save_file({"conv.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(VivavoceError, match="does not fit"):
        network.load(str(tmp_path / "other.safetensors"))
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(VivavoceError, match="cannot be read"):
        network.load(str(tmp_path / "text.pth"))
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(VivavoceError, match="no plain state"):
        network.load(str(tmp_path / "list.pth"))


def test_resnet50_is_torchvisions_and_56_the_small_images():
    assert isinstance(make_encoder("resnet50"), Backbone)
    assert make_encoder("resnet56").features == 64
