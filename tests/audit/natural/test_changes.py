"""Changes of any image in any batch; light, geometry and files by what they must do."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from vivavoce.artifacts import Outputs
from vivavoce.audit.attacks.base import Ball, Goal
from vivavoce.audit.attacks.streams import Streams
from vivavoce.audit.natural.change import Change
from vivavoce.audit.natural.geometry import Worst, rotated, scaled, sheared, translated
from vivavoce.audit.natural.kinds import GEOMETRY, KINDS
from vivavoce.images import Fit

RANDOM = np.random.default_rng(0)
CHANGES = [kind for kind in KINDS.values() if isinstance(kind, Change)]


def images(count: int, *shape: int) -> np.ndarray:
    return (RANDOM.integers(0, 256, (count, *shape)) / 255).astype(np.float32)


@pytest.mark.parametrize("kind", CHANGES, ids=lambda kind: kind.name)
def test_any_image_in_any_batch(kind):
    """Tiny, thin, grey and larger ones: 8 bits, and the same whatever the batch."""
    for shape in ((3, 1, 1), (1, 2, 9), (3, 8, 5), (1, 20, 24), (3, 24, 66)):
        batch, streams = images(3, *shape), Streams.of(7, kind.name, np.array([4, 9, 2]))
        for severity in (kind.severities[0], kind.severities[-1]):
            whole = kind.apply(batch, severity, streams)
            assert whole.dtype == np.float32
            assert whole.shape == batch.shape
            np.testing.assert_array_equal(whole, np.rint(whole * 255).astype(np.float32) / np.float32(255))
            some = np.array([2, 0])
            np.testing.assert_array_equal(kind.apply(batch[some], severity, streams.part(some)), whole[some])


@pytest.mark.parametrize("kind", CHANGES, ids=lambda kind: kind.name)
def test_grey_stays_grey(kind):
    """A grey photo as colour gives what the grey one gives, where colour plays no part."""
    flat = np.clip(np.linspace(0.1, 0.9, 40 * 40).reshape(1, 1, 40, 40), 0, 1).astype(np.float32)
    grey = np.floor(flat * 255) / np.float32(255)
    streams = Streams.of(0, kind.name, np.arange(1))
    changed = kind.apply(grey, kind.severities[-1], streams)
    assert changed.shape == grey.shape
    if kind.name in ("webp", "fade", "gamma", "defocus", "motion-blur", "rotation", "fog", "contrast"):
        coloured = kind.apply(np.repeat(grey, 3, 1), kind.severities[-1], streams)
        assert np.abs(coloured - changed).max() <= (6 if kind.name == "webp" else 1.01) / 255


@pytest.mark.parametrize("kind", CHANGES, ids=lambda kind: kind.name)
def test_the_seed_and_the_image_decide(kind):
    batch = np.repeat(images(1, 3, 40, 40), 2, 0)
    once = kind.apply(batch, kind.severities[-1], Streams.of(0, kind.name, np.array([0, 1])))
    again = kind.apply(batch, kind.severities[-1], Streams.of(0, kind.name, np.array([0, 1])))
    np.testing.assert_array_equal(once, again)
    random = "noise glass motion snow frost fog elastic spatter".split()
    if any(word in kind.name for word in random):
        assert (once[0] != once[1]).any()


def bright(kind: str, severity: int, batch: np.ndarray) -> np.ndarray:
    found = KINDS[kind]
    assert isinstance(found, Change)
    return found.apply(batch, severity, Streams.of(0, kind, np.arange(len(batch))))


def test_light_and_colour():
    batch = images(6, 3, 16, 16) * 0.8 + 0.1
    assert bright("underexposure", 2, batch).mean() < batch.mean() - 0.1
    assert bright("overexposure", 2, batch).mean() > batch.mean() + 0.1
    faded = bright("fade", 4, batch)
    assert np.ptp(faded, axis=1).max() <= 1.01 / 255
    np.testing.assert_allclose(
        faded[:, 0], np.tensordot(batch, [0.299, 0.587, 0.114], ([1], [0])), atol=1.01 / 255
    )
    assert bright("high-contrast", 2, batch).std() > 1.3 * batch.std()
    np.testing.assert_array_equal(
        bright("colour-order", 1, batch), np.floor(batch * 255 + 1e-4)[:, ::-1] / 255
    )
    warm = (bright("white-balance", 4, batch) - batch).mean((2, 3))
    assert (np.sign(warm[:, 0]) == -np.sign(warm[:, 2])).all()
    assert {1, -1} == set(np.sign(warm[:, 0]))
    turned = bright("hue", 2, np.full((1, 3, 4, 4), 0.4, np.float32))
    np.testing.assert_allclose(turned, 0.4, atol=1.01 / 255)  # grey has no hue


@pytest.mark.parametrize("motion", [rotated, translated, scaled, sheared])
def test_identity_is_identity(motion):
    image = images(1, 3, 15, 22)[0].astype(np.float64)
    parameters = 2 if motion is translated else 1
    np.testing.assert_array_equal(motion(image, 1.0 if motion is scaled else 0.0, (1.0,) * parameters), image)
    np.testing.assert_array_equal(motion(image, 20.0, (0.0,) * parameters), image)


def test_quarter_turns_and_whole_shifts_are_exact():
    image = images(1, 3, 16, 16)[0].astype(np.float64)
    np.testing.assert_allclose(rotated(image, 90, (1.0,)), np.rot90(image, 1, (1, 2)), atol=1e-12)
    np.testing.assert_allclose(rotated(image, 90, (-1.0,)), np.rot90(image, -1, (1, 2)), atol=1e-12)
    moved = translated(image, 0.25, (1.0, -1.0))
    np.testing.assert_array_equal(moved[:, 4:, :12], image[:, :12, 4:])
    assert not moved[:, :4].any()
    assert not moved[:, :, 12:].any()
    np.testing.assert_array_equal(bright("flip", 1, image[None].astype(np.float32))[0], image[:, :, ::-1])


class Threshold:
    """Decides by the sum over a window: some members of every grid break some images."""

    def __init__(self) -> None:
        self.asked = 0

    def answer(self, batch):
        self.asked += len(batch)
        value = batch[:, :, 5:9, 5:9].mean((1, 2, 3))
        return Outputs(np.stack([value, np.full(len(batch), 0.3)], 1))


@pytest.mark.parametrize("name", [name for name in GEOMETRY if name.endswith("worst")])
def test_the_worst_of_a_grid_is_never_better_than_a_member(name):
    attack = GEOMETRY[name]
    assert isinstance(attack, Worst)
    batch, target = (
        images(30, 1, 14, 14) * np.linspace(0.5, 0.9, 30, dtype=np.float32)[:, None, None, None],
        Threshold(),
    )
    labels = np.argmax(target.answer(batch).scores, 1)
    goal = Goal(labels, None)
    balls = [Ball("linf", np.full((1, 1, 1), s, np.float32)) for s in attack.severities]
    found = attack.sweep(target, batch, goal, balls, Streams.of(0, name, np.arange(30)))  # type: ignore[arg-type]
    broken_before = np.zeros(30, bool)
    for severity, result in zip(attack.severities, found, strict=True):
        broken = goal.reached(target.answer(result).scores)
        members = list(attack.members(severity))
        changed = [np.stack([attack._changed(image, *member) for image in batch]) for member in members]
        each = np.array([goal.reached(target.answer(one).scores) for one in changed])
        np.testing.assert_array_equal(broken, each.any(0))  # exhaustive, and no more
        assert (broken >= broken_before).all()
        np.testing.assert_array_equal(result[~broken], batch[~broken])
        broken_before = broken
    assert 0 < broken_before.sum() < 30
    steps = 8 if attack.motion is translated else 2
    assert len(list(attack.members(5))) == 2 * steps


def test_filters_of_other_programs():
    """Without antialiasing, pixels between those that are read do not count."""
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::4] = 255
    file = BytesIO()
    Image.fromarray(stripes).save(file, "PNG")

    def read(**options) -> np.ndarray:
        with Image.open(BytesIO(file.getvalue())) as image:
            return Fit(16, 16, 3, **options)(image)

    assert np.ptp(read()[:, 1:-1].astype(int)) <= 2  # every stripe is averaged
    assert read()[:, 1:-1].mean() == pytest.approx(255 / 4, abs=2)
    assert not read(antialias=False).any()  # read between the second and third of four columns
    assert np.array_equal(read(antialias=False, interpolation="nearest"), read(interpolation="nearest"))
    with Image.open(BytesIO(file.getvalue())) as image:
        assert np.array_equal(Fit(64, 64, 3, antialias=False)(image), stripes)


def test_reading_without_antialias_is_opencvs():
    cv2 = pytest.importorskip("cv2")
    pixels = np.random.default_rng(1).integers(0, 256, (60, 90, 3)).astype(np.uint8)
    found = Fit(23, 31, 3, antialias=False)(Image.fromarray(pixels))
    expected = cv2.resize(pixels, (31, 23), interpolation=cv2.INTER_LINEAR)
    assert np.abs(found.astype(int) - expected).max() <= 2
