import msgspec
import pytest
import torch

from vivavoce.errors import VivavoceError
from vivavoce.train.augment import augment, draw
from vivavoce.train.recipes import parse_changes, resolve, shipped


def test_the_papers_rate_per_epoch():
    recipe = resolve("paper", has_bank=True)
    rates = [recipe.rate(epoch * 10, 10) for epoch in range(recipe.epochs)]
    assert rates == pytest.approx([0.1] * 300 + [0.01] * 150 + [0.001] * 150)


def test_the_papers_category_models_train_a_third_as_long():
    recipe = resolve("paper", has_bank=False)
    rates = [recipe.rate(epoch, 1) for epoch in range(recipe.epochs)]
    assert rates == pytest.approx([0.1] * 100 + [0.01] * 50 + [0.001] * 50)


def test_one_cycle_rises_to_the_peak_and_falls_to_zero():
    recipe = resolve("fast", has_bank=True)
    rates = [recipe.rate(step, 10) for step in range(recipe.epochs * 10)]
    peak = rates.index(max(rates))
    assert max(rates) == pytest.approx(recipe.learning_rate, rel=1e-3)
    assert peak / len(rates) == pytest.approx(recipe.warmup, abs=0.01)
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[-1] < 1e-6


def test_fields_can_be_changed():
    recipe = resolve("fast", True, changes={"epochs": 3, "learning_rate": None})
    assert (recipe.epochs, recipe.learning_rate) == (3, resolve("fast", True).learning_rate)


@pytest.mark.parametrize("changes", [{"epochs": 0}, {"batch_size": -1}, {"learning_rate": 0.0}])
def test_fields_out_of_range_are_refused(changes):
    with pytest.raises(VivavoceError, match="must be positive"):
        resolve("fast", True, changes=changes)


@pytest.mark.parametrize("changes", [{"ema": 1.0}, {"warmup": -0.1}, {"momentum": 1.5}])
def test_shares_out_of_range_are_refused(changes):
    with pytest.raises(VivavoceError, match="below 1"):
        resolve("fast", True, changes=changes)


def test_the_student_reports_rate_never_drops():
    recipe = resolve("short", has_bank=True)
    assert [recipe.rate(epoch * 7, 7) for epoch in range(recipe.epochs)] == [0.1] * 30


@pytest.mark.parametrize("name", [*shipped()])
@pytest.mark.parametrize("has_bank", [True, False])
def test_every_recipe_that_ships_can_be_read(name, has_bank):
    assert resolve(name, has_bank, "resnet32").name == name


def test_vgg19_on_categories_decays_its_weights_faster_on_paper():
    assert resolve("paper", False, "vgg19").weight_decay == 5e-4
    assert resolve("paper", True, "vgg19").weight_decay == 1e-4
    assert resolve("paper", False, "resnet32").weight_decay == 1e-4


def test_changes_are_written_as_in_toml():
    given = ["ema=0.9", "drops=[0.5]", "nesterov=false", "schedule=steps", "batch-size=64"]
    changes = parse_changes(given)
    assert changes == {"ema": 0.9, "drops": [0.5], "nesterov": False, "schedule": "steps", "batch_size": 64}
    recipe = resolve("fast", True, changes=changes)
    assert (recipe.ema, recipe.drops, recipe.schedule) == (0.9, (0.5,), "steps")


@pytest.mark.parametrize("given", ["ema", "speed=3", "name=x"])
def test_changes_of_no_field_are_refused(given):
    with pytest.raises(VivavoceError, match="the fields are epochs"):
        parse_changes([given])


@pytest.mark.parametrize("changes", [{"ema": "much"}, {"schedule": "spiral"}, {"epochs": 1.5}])
def test_values_of_the_wrong_sort_are_refused(changes):
    with pytest.raises(VivavoceError, match=r"recipe fast: .*its fields are"):
        resolve("fast", True, changes=changes)


def test_a_recipe_written_beside_a_run_is_one_to_start_from(tmp_path):
    recipe = resolve("fast", True, changes={"epochs": 7})
    path = tmp_path / "recipe.json"
    path.write_bytes(msgspec.json.encode(recipe))
    assert resolve(str(path), True) == recipe
    for text in ("{", "[1]", '{"epochs": 3, "tempo": 4}'):
        path.write_text(text)
        with pytest.raises(VivavoceError, match="recipe"):
            resolve(str(path), True)
    with pytest.raises(VivavoceError, match="no such file"):
        resolve(str(tmp_path / "absent.toml"), True)


def test_an_unknown_recipe_is_refused():
    with pytest.raises(VivavoceError, match="fast"):
        resolve("slow", True)


def test_crops_move_the_image_and_pad_with_zeros():
    images = torch.arange(1, 1 + 6 * 4 * 5, dtype=torch.float32).reshape(6, 1, 4, 5)
    out = augment(images, 2, draw(6, 2, False, torch.Generator().manual_seed(0)))
    padded = torch.nn.functional.pad(images, (2, 2, 2, 2))
    for n in range(6):
        found = [
            (top, left)
            for top in range(5)
            for left in range(5)
            if torch.equal(out[n], padded[n, :, top : top + 4, left : left + 5])
        ]
        assert found
    assert not torch.equal(out, images)


def test_flips_turn_about_half_of_the_images():
    images = torch.rand(400, 1, 2, 3)
    out = augment(images, 0, draw(400, 0, True, torch.Generator().manual_seed(0)))
    flipped = torch.tensor([torch.equal(a, b.flip(2)) for a, b in zip(out, images, strict=True)])
    same = torch.tensor([torch.equal(a, b) for a, b in zip(out, images, strict=True)])
    assert torch.all(flipped ^ same)
    assert 150 < flipped.sum() < 250
