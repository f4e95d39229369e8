"""The encoder and the recipe of Jordan 2024 (arXiv 2404.00498), part by part."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from short_runs import Stopped, bank_of, few_digits, pixels, silent, start, stop_in_the_third_epoch
from torch import nn

from vivavoce.errors import VivavoceError
from vivavoce.export.build import export_run
from vivavoce.train import run
from vivavoce.train.adversarial import make_adversarial
from vivavoce.train.airbench import RIDGE, Airbench, Group
from vivavoce.train.augment import alternating, augment, cut_out, draw, to_unit
from vivavoce.train.average import Lookahead
from vivavoce.train.encoders import make_encoder
from vivavoce.train.model import Classifier
from vivavoce.train.optimizers import make_optimizer, set_rate
from vivavoce.train.recipes import resolve

PLAIN = ((0.0,) * 3, (1.0,) * 3)
SMALL: dict[str, Any] = {"encoder": "airbench-8-12-16", "recipe": "airbench", "precision": "bfloat16"}
SMALL |= {"learning_rate": 0.02, "bias_scale": 4}  # for batches of 32


def group(encoder: Airbench, k: int) -> Group:
    found = encoder.stages[k]
    assert isinstance(found, Group)
    return found


def encoder_of(trainer) -> Airbench:
    found = trainer.model.encoder
    assert isinstance(found, Airbench)
    return found


def correlated(n=40):
    """Images whose neighbours are alike, as photographs' are."""
    noise = torch.randn(n, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    return nn.functional.avg_pool2d(noise, 5, 1, 2) * 3 + noise[:, :1] * 0.1


def test_the_whitening_layer_makes_patches_white():
    encoder, images = Airbench(), correlated()
    encoder.whiten(images)
    maps = nn.functional.conv2d(images, encoder.whitening.weight).double()
    flat = maps.transpose(0, 1).flatten(1)
    moments = flat[:12] @ flat[:12].T / flat.shape[1]
    strength = moments.diagonal()  # value / (value + ridge): one, but for directions that hardly vary
    assert torch.allclose(moments, strength.diag(), atol=1e-4)
    assert strength.min() > 0.9
    assert strength.max() < 1 + 1e-4
    assert torch.equal(encoder.whitening.weight[12:], -encoder.whitening.weight[:12])


def test_grey_images_leave_no_channel_without_variance():
    encoder, images = Airbench(), correlated()[:, :1].expand(-1, 3, -1, -1)
    encoder.whiten(images)
    deviations = nn.functional.conv2d(images, encoder.whitening.weight).std((0, 2, 3))
    assert torch.all((deviations > 0.8) & (deviations < 1.2))
    encoder.whiten(correlated() * 0.01)
    assert encoder.whitening.weight.flatten(1).norm(dim=1).max() <= RIDGE**-0.5


def test_convolutions_start_as_the_identity():
    second = group(Airbench((8, 24, 24)), 1)
    x = torch.randn(2, 8, 6, 6)
    assert torch.allclose(second.conv1(x)[:, :8], x)
    assert not torch.allclose(second.conv1(x)[:, 8:16], x)
    y = torch.randn(2, 24, 6, 6)
    assert torch.allclose(second.conv2(y), y)


def test_size_and_widths():
    sizes = {name: Classifier(name, 10, None, *PLAIN) for name in ("airbench", "airbench-64-256-256")}
    counts = {sum(p.numel() for p in model.parameters() if p.requires_grad) for model in sizes.values()}
    convolutions = 9 * (24 * 64 + 64 * 64 + 64 * 256 + 3 * 256 * 256)
    assert counts == {24 + convolutions + 2 * (64 + 256 + 256) + 2570}
    assert make_encoder("airbench-8-12-16").features == 16
    for name in ("airbench-8", "airbench-0-8-8", "airbench-8-8-8-8"):
        with pytest.raises(VivavoceError, match="airbench-64-256-256"):
            make_encoder(name)


def test_the_rate_rises_from_a_fifth_and_falls_to_seven_hundredths():
    recipe = resolve("airbench", False, changes={"epochs": 10})
    rates = [recipe.rate(step, 100) / recipe.learning_rate for step in range(1000)]
    expected = np.interp(np.arange(1000), [0, 230, 1000], [0.2, 1, 0.07])
    assert rates == pytest.approx(expected)


def test_biases_of_batch_normalisation_learn_faster_and_decay_alike():
    model = Classifier("airbench-8-12-16", 10, (16, 16), *PLAIN)
    changes = {"bias_scale": 64, "head_scale": 0.5, "weight_decay": 0.01}
    optimizer = make_optimizer(resolve("airbench", True, changes=changes), model)
    set_rate(optimizer, 0.1)
    found = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    encoder, head = model.encoder, model.head
    assert isinstance(encoder, Airbench)
    bias, weight = group(encoder, 0).bn1.bias, group(encoder, 0).conv1.weight
    assert (found[id(bias)]["lr"], found[id(weight)]["lr"]) == pytest.approx((6.4, 0.1))
    assert found[id(bias)]["lr"] * found[id(bias)]["weight_decay"] == pytest.approx(0.1 * 0.01)
    assert {found[id(p)]["lr"] for p in head.parameters()} == {0.05}
    assert id(encoder.whitening.bias) in found
    assert id(encoder.whitening.weight) not in found
    assert id(group(encoder, 0).bn1.weight) not in found


def test_lookahead_pulls_the_weights_back():
    model = Classifier("airbench-8-12-16", 10, None, *PLAIN)
    weight = model.head.get_parameter("weight")
    begun = weight.detach().clone()
    lookahead = Lookahead(model, 5, 20)
    with torch.no_grad():
        weight += 1
        lookahead.update(4)
        assert torch.equal(weight, begun + 1)
        lookahead.update(10)
        kept = 0.95**5 * 0.5**3
        assert torch.allclose(weight, begun + (1 - kept))
        weight += 1
        lookahead.update(20)
        assert torch.allclose(weight, begun + (1 - kept) + (1 - 0.95**5))


def test_the_run_ends_on_the_slow_weights():
    model = Classifier("airbench-8-12-16", 10, None, *PLAIN)
    weight = model.head.get_parameter("weight")
    begun = weight.detach().clone()
    with torch.no_grad():
        lookahead = Lookahead(model, 7, 20)
        weight += 1
        lookahead.update(20)
    assert torch.equal(weight, begun)


def test_every_image_is_flipped_in_one_of_two_epochs(tmp_path):
    first = alternating(1000, 3)
    assert 400 < first.sum() < 600
    assert torch.equal(first, alternating(1000, 3))
    trainer = start(tmp_path / "a", few_digits(96, 32), None, **SMALL, flip=True)
    assert trainer.sides is not None
    assert len(trainer.sides) == 96
    assert start(tmp_path / "b", few_digits(96, 32), None, **SMALL, flip=False).sides is None


def test_the_reflected_border_is_numpys():
    images = torch.randint(0, 256, (6, 3, 8, 9), dtype=torch.uint8)
    draws = draw(6, 2, False, torch.Generator().manual_seed(0))
    out = augment(images, 2, draws, "reflect")
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (2, 2), (2, 2)), "reflect")
    for n, (top, left) in enumerate(zip(draws.top, draws.left, strict=True)):
        assert np.array_equal(out[n].numpy(), padded[n, :, top : top + 8, left : left + 9])
    with pytest.raises(VivavoceError, match="below 32"):
        resolve("airbench", True, changes={"crop_padding": 32})


def test_squares_are_cut_out_where_they_were_drawn():
    images, colour = torch.rand(200, 3, 12, 16), torch.tensor([0.2, 0.5, 0.8]).view(3, 1, 1)
    draws = draw(200, 2, True, torch.Generator().manual_seed(0), square=True)
    assert draws.middle is not None
    found = cut_out(images, 6, draws.middle, colour)
    for image, before, (down, across) in zip(found, images, draws.middle.tolist(), strict=True):
        top, left = int(down * 12) - 3, int(across * 16) - 3
        wanted = before.clone()
        wanted[:, max(top, 0) : top + 6, max(left, 0) : left + 6] = colour
        assert torch.equal(image, wanted)


def test_a_run_with_cutout_covers_its_images(tmp_path, monkeypatch):
    trainer = start(tmp_path, few_digits(70, 20), None, **SMALL, cutout=32, epochs=1)
    seen = []
    monkeypatch.setattr("vivavoce.train.loop.cut_out", lambda *given: seen.append(given) or given[0])
    trainer.train(silent, lambda epoch: None)
    assert {given[1] for given in seen} == {32}
    assert torch.equal(seen[0][3], trainer.model.mean)
    plain = draw(5, 2, True, torch.Generator().manual_seed(0))
    same = draw(5, 2, True, torch.Generator().manual_seed(0), square=True)
    assert plain.middle is None
    assert all(torch.equal(a, b) for a, b in zip(plain[:3], same[:3], strict=True))
    with pytest.raises(VivavoceError, match="cutout"):
        resolve("airbench", False, changes={"cutout": -1})


def test_adversarial_training_whitens_perturbed_images(tmp_path):
    """Else the filters magnify an attack up to 40 times, and the network learns to read the attack itself."""
    splits = few_digits(70, 20)
    smooth = nn.functional.interpolate(torch.rand(70, 3, 4, 4), 32, mode="bicubic")
    smooth = smooth.clamp(0, 1).mul(255).byte()
    splits = replace(splits, train=replace(splits.train, images=smooth.numpy()))
    plain, robust = (
        start(tmp_path / name, splits, None, plan=plan, **SMALL)
        for name, plan in (("plain", None), ("robust", make_adversarial("pgd", "8/255")))
    )
    images = to_unit(torch.from_numpy(pixels(splits.train)))
    perturbed = images + 8 / 255 * (2 * torch.randint(2, images.shape) - 1)
    largest = []
    for trainer in (plain, robust):
        model, layer = trainer.model, encoder_of(trainer).whitening
        largest.append(layer((perturbed - model.mean) / model.std).std((0, 2, 3)).max().item())
    assert largest[0] > 2.5
    assert largest[1] < 1.2


@pytest.mark.parametrize("kind", ["speech", pytest.param("category", marks=pytest.mark.full)])
def test_a_stopped_run_resumes_to_the_same_weights(kind, tmp_path):
    splits = few_digits(96, 32)
    bank = bank_of(splits) if kind == "speech" else None
    start(tmp_path / "a", splits, bank, **SMALL).train(silent, silent)

    with pytest.raises(Stopped):
        start(tmp_path / "b", splits, bank, **SMALL).train(stop_in_the_third_epoch, silent)
    again = start(tmp_path / "b", splits, bank, resume=True, **SMALL)
    again.model.get_parameter("encoder.whitening.weight").data.zero_()  # comes from the checkpoint
    again.resume()
    assert len(again.history) == 2
    again.train(silent, silent)
    for file in (run.RESULT, run.CHECKPOINT):
        a, b = (load_file(tmp_path / name / file) for name in "ab")
        assert a.keys() == b.keys()
        assert all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize("kind", ["speech", pytest.param("category", marks=pytest.mark.full)])
def test_it_is_exported(kind, tmp_path):
    """The export compares the file with the trained model and keeps it only if they agree."""
    splits = few_digits(96, 32)
    bank = bank_of(splits) if kind == "speech" else None
    start(tmp_path / "a", splits, bank, epochs=1, **SMALL).train(silent, silent)
    for name in ("model.onnx", "model.pt"):
        manifest, _ = export_run(tmp_path / "a", tmp_path / name)
        assert manifest.training is not None
        assert manifest.training.encoder == "airbench-8-12-16"
