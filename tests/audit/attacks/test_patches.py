"""Patches: inside their shape, never weaker than random ones, monotone in size; universal ones learn."""

import io
import json

import numpy as np
import pytest
from commands import inside
from PIL import Image

from vivavoce.artifacts import decide
from vivavoce.audit.attacks.base import Ball, Goal, Shape
from vivavoce.audit.attacks.pasting import Turned, Upright, stencil
from vivavoce.audit.attacks.patch import Patch, RandomPatch
from vivavoce.audit.attacks.patch_rs import PatchRS
from vivavoce.audit.attacks.streams import Streams
from vivavoce.audit.attacks.universal import UniversalPatch, UniversalPerturbation
from vivavoce.audit.cli import main
from vivavoce.audit.learning import judged, lessons
from vivavoce.audit.protocol import resolve
from vivavoce.audit.writing.patterns import picture
from vivavoce.errors import VivavoceError
from vivavoce.images import Fit, open_images

ATTACKS = {
    "patch": Patch(steps=10, places=6, trial=2, finalists=2),
    "patch-rs": PatchRS(60),
    "patch-random": RandomPatch(),
}
table = pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
shapes = pytest.mark.parametrize("shape", ["square", "disc"])


def ball(share, shape: Shape = "square"):
    return Ball("patch", np.full((1, 1, 1), share, np.float32), shape)


def sweep(attack, target, images, goal, balls, indices=None):
    streams = Streams.of(0, attack.name, np.arange(len(images)) if indices is None else indices)
    return list(attack.sweep(target, images, goal, balls, streams))


@table
@shapes
@pytest.mark.parametrize("kind", ["dynamic", "int8"])
def test_a_patch_covers_no_more_than_its_shape(attack, shape, kind, open_tiny, tiny_images):
    target, images = open_tiny(kind), np.round(tiny_images, 1)
    goal = Goal(decide(target.answer(images).scores))
    balls = [ball(share, shape) for share in (0.0, 0.03, 0.12, 0.3)]
    for around, out in zip(balls, sweep(attack, target, images, goal, balls), strict=True):
        assert 0 <= out.min() <= out.max() <= 1
        assert around.size(out, images).max() <= around.radius.max()
        np.testing.assert_array_equal(around.confine(out, images), out)
        side = len(stencil(around, 6, 6))
        for changed in (out != images).any(1):
            rows, columns = np.nonzero(changed)
            assert max(np.ptp(rows) + 1, np.ptp(columns) + 1) <= side if len(rows) else not changed.any()


@pytest.mark.parametrize("attack", [ATTACKS["patch"], ATTACKS["patch-rs"]])
def test_never_weaker_than_a_random_patch_and_monotone_in_size(attack, open_tiny, tiny_images):
    target, images = open_tiny(), np.tile(tiny_images, (4, 1, 1, 1))
    goal = Goal(decide(target.answer(images).scores))
    balls = [ball(share) for share in (0.03, 0.12, 0.3, 0.6)]
    found, random = (sweep(a, target, images, goal, balls) for a in (attack, RandomPatch()))
    broken, by_chance = (
        np.stack([goal.reached(target.answer(out).scores) for out in outs]) for outs in (found, random)
    )
    assert np.all(broken >= by_chance)
    assert np.all(broken[1:] >= broken[:-1])
    assert broken.sum() > by_chance.sum() > 0


@table
def test_batches_change_nothing(attack, open_tiny, tiny_images):
    target, indices = open_tiny(), np.arange(100, 108)
    goal = Goal(decide(target.answer(tiny_images).scores))
    (whole,) = sweep(attack, target, tiny_images, goal, [ball(0.12)], indices)
    parts = np.empty_like(whole)
    for part in (np.array([7, 2, 5]), np.array([0, 1, 3, 4, 6])):
        (parts[part],) = sweep(
            attack, target, tiny_images[part], goal.part(part), [ball(0.12)], indices[part]
        )
    assert np.sum(np.abs(parts - whole).max((1, 2, 3)) > 1e-4) <= 1


@shapes
@pytest.mark.parametrize(("height", "width"), [(32, 32), (24, 40)])
def test_turned_patches_stay_inside_and_gather_what_they_paste(shape, height, width):
    streams, around = Streams.of(0, "turned", np.arange(60)), ball(0.2, shape)
    images = np.random.default_rng(0).random((60, 3, height, width), dtype=np.float32)
    side = len(stencil(around, height, width))
    where = Turned.draw(around, side, streams, 0, height, width)
    texture = np.full((3, side, side), 2, np.float32)
    pasted = where.paste(images, texture)
    covered = (pasted > 1.5).all(1)
    np.testing.assert_array_equal(covered, where.inside)
    assert covered.sum((1, 2)).max() <= 0.2 * height * width
    assert covered.sum((1, 2)).min() >= 0.6 * 0.2 * height * width
    assert np.array_equal(around.confine(np.minimum(pasted, 1), images), np.minimum(pasted, 1))
    # Pasting is linear in the texture, and gathering is its transpose.
    rng = np.random.default_rng(1)
    texture, slopes = rng.normal(size=texture.shape).astype(np.float32), rng.normal(size=images.shape)
    moved = np.where(where.inside[:, None], where.paste(np.zeros_like(images), texture), 0)
    assert (moved * slopes).sum() == pytest.approx((texture * where.gather(slopes, side)).sum(), rel=1e-4)


def test_an_upright_patch_cuts_what_it_pastes():
    images = np.zeros((2, 1, 5, 5), np.float32)
    where = Upright(stencil(ball(0.2, "disc"), 5, 5), np.array([0, 2]), np.array([1, 2]))
    content = np.arange(1, 19, dtype=np.float32).reshape(2, 1, 3, 3)
    np.testing.assert_array_equal(where.cut(where.paste(images, content)), content * where.inside)


@pytest.mark.parametrize(
    ("attack", "around"),
    [
        (UniversalPatch(steps=60), ball(0.3)),
        (UniversalPerturbation(steps=60), Ball("linf", np.full((3, 1, 1), 0.2, np.float32))),
        (UniversalPerturbation(steps=60), Ball("l2", np.full((1, 1, 1), 1.5, np.float32))),
    ],
)
def test_what_is_learned_on_some_images_breaks_others(attack, around, open_tiny):
    target = open_tiny()
    images = np.random.default_rng(5).random((96, 3, 6, 6), dtype=np.float32)
    labels = decide(target.answer(images).scores)
    taught, judged = slice(0, 48), slice(48, 96)

    def lesson(number):
        return images[taught], labels[taught], Streams.of(0, f"{number}", np.arange(48))

    target.patterns = {attack.key(around): attack.learn(target, lesson, around)}
    (out,) = sweep(attack, target, images[judged], Goal(labels[judged]), [around], np.arange(48, 96))
    assert around.size(out, images[judged]).max() <= around.radius.max() * (1 + 1e-5)
    right = (decide(target.answer(out).scores) == labels[judged]).mean()
    if around.norm == "patch":
        (other,) = sweep(RandomPatch(), target, images[judged], Goal(labels[judged]), [around])
    else:
        signs = np.sign(np.random.default_rng(0).normal(size=images.shape[1:])).astype(np.float32)
        other = around.confine(images[judged] + around.radius * signs, images[judged])
    assert 1 - right > 1.3 * (1 - (decide(target.answer(other).scores) == labels[judged]).mean())


def test_a_universal_pattern_has_no_targets():
    with pytest.raises(VivavoceError, match="takes no --targets"):
        resolve("standard", ["patch-universal"], targeted=True)


@shapes
def test_a_patch_is_printed_in_its_shape(shape):
    protocol = resolve("standard", ["patch-universal"], patch_shape=shape)
    with Image.open(io.BytesIO(picture(np.full((3, 7, 7), 0.4, np.float32), protocol))) as image:
        pixels = np.asarray(image)
    assert min(pixels.shape[:2]) >= 512
    assert pixels[256, 256, :3].tolist() == [102, 102, 102]
    assert pixels.shape[2] == {"square": 3, "disc": 4}[shape]
    assert shape == "square" or pixels[0, 0, 3] == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--attack patch --patch-size 0%", "more than 0%"),
        ("--attack patch --patch-size 120%", "at most 100%"),
        (
            "--attack patch --patch-size 90% --patch-shape disc",
            "is larger than the model's images of 32",
        ),
        ("--attack patch --patch-size 0.01%", "less than one pixel"),
        ("--attack patch --patch-size big", "such as 5%, not 'big'"),
        ("--attack patch --patch-size 5", "such as 5%, not '5'"),
        ("--attack patch --patch-size nan%", "such as 5%, not 'nan%'"),
        ("--attack pgd --patch-size 5%", "needs an attack with patches"),
        ("--patch-shape disc", "needs an attack with patches"),
        ("--attack patch --patch-shape star", "square or disc, not 'star'"),
        ("--attack patch --epsilon 8/255", "give --patch-size"),
        ("--attack patch --norm l2", "leave out --norm"),
        ("--attack patch --attack pgd", "pgd supports linf and l2, not patch"),
        ("--attack patch --protocol paper", "the protocol paper has no patches"),
        ("--norm patch", "linf, l2, l1 or l0, not 'patch'"),
        ("--attack patch --save-patterns .", "--save-patterns needs"),
        ("--attack patch-universal --save-patterns /dev/null/x", "/dev/null: is not a folder"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, says, tmp_path):
    done = inside(main, "robustness", "digits-category", "--limit", "4", *options.split(), cwd=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_an_audit_with_patches(small, tmp_path):
    options = "--attack patch-random --attack patch-universal --patch-size 5%,20% --limit 20"
    outputs = "--save-patterns patterns -o a.json -o a.md -o a.html"
    done = inside(main, "robustness", small, *options.split(), *outputs.split(), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "a.json").read_text())
    assert report["data"]["n"] == 20
    assert "20 others" in report["data"]["sample"]
    names = {path.name for path in (tmp_path / "patterns").iterdir()}
    assert names == {"patch-universal-5.png", "patch-universal-20.png"}
    rows = {(row["attack"], row["epsilon"]): row for row in report["rows"]}
    assert rows["patch-universal", 0.2]["accuracy"] < rows["patch-random", 0.2]["accuracy"]
    assert all(row["max_perturbation"] <= row["epsilon"] + 1e-6 for row in report["rows"])
    assert "| patch |" in (tmp_path / "a.md").read_text()
    again = inside(main, "check", small, "--baseline", "a.json", cwd=tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr


def test_half_of_the_data_is_left_to_learn_from():
    images, protocol = open_images("digits"), resolve("standard", ["universal"])
    chosen = judged(images, 0, 0, protocol)
    assert len(chosen) == len(images) // 2
    assert not np.intersect1d(chosen, lessons(images, chosen, Fit(32, 32), 0)).size
    assert len(judged(images, 0, 0, resolve("standard"))) == len(images)
