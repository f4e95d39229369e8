"""Attacks whose images stay on the device: here onnxruntime's CPU provider, by the same code as on a GPU."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
import pytest
from msgspec.structs import replace

from vivavoce.artifacts import decide, open_model
from vivavoce.artifacts.device import DeviceArray, run
from vivavoce.audit.attacks.adaptive import FalseAcceptance, Rejection
from vivavoce.audit.attacks.apgd import APGD
from vivavoce.audit.attacks.base import Attack, Ball, Goal
from vivavoce.audit.attacks.catalogue import ATTACKS as EVERY
from vivavoce.audit.attacks.fgsm import FGSM
from vivavoce.audit.attacks.iterative import Iterative
from vivavoce.audit.attacks.margin import Margin
from vivavoce.audit.attacks.pgd import PGD
from vivavoce.audit.attacks.streams import Streams
from vivavoce.audit.grid import Grid
from vivavoce.audit.plan import Settings
from vivavoce.audit.protocol import resolve
from vivavoce.audit.run import robustness
from vivavoce.audit.target import Target
from vivavoce.images import Fit, open_images
from vivavoce.images.imageset import to_float

ATTACKS: dict[str, Attack] = {
    "fgsm": FGSM(),
    "iterative": Iterative(3),
    "pgd": PGD(steps=4),
    "pgd-restarts": PGD("margin", steps=3, restarts=2),
    "margin": Margin(steps=3),
    "apgd-ce": APGD(steps=12, restarts=2),
    "apgd-dlr": APGD("dlr", steps=6),
    "apgd-t": APGD("targeted-dlr", steps=5, rivals=2),
    "apgd-pm": APGD("probability-margin", steps=6),
    "apgd-malt": APGD("targeted-dlr", steps=5, rivals=2, nearest=True),
}
RADII = {"linf": (0.004, 0.05), "l2": (0.02, 0.4)}
KINDS = ("fixed", "int8", "sure", "cut")
"""A file of one batch size, a quantised one, and two whose losses vanish, where others stand in."""
SOME = [("pgd", "linf"), ("apgd-ce", "l2"), ("apgd-t", "linf")]
CASES = [(name, norm) for name, attack in ATTACKS.items() for norm in attack.on_device]


@pytest.fixture
def keep(monkeypatch) -> Callable[[bool], None]:
    """Let images stay on the device, or on the host."""
    return lambda on: monkeypatch.setattr("vivavoce.audit.target.KEEPING", ("cpu",) if on else ())


def attacked(target: Target, attack: Attack, images: np.ndarray, goal: Goal, norm) -> tuple:
    """The adversarial images in each ball, and what they cost."""
    balls = [Ball(norm, np.full((3 if norm == "linf" else 1, 1, 1), r, np.float32)) for r in RADII[norm]]
    asked, followed = target.queries, target.gradients
    streams = Streams.of(0, attack.name, np.arange(len(images)))
    found = list(attack.results(target, images, goal, balls, streams))
    return found, target.queries - asked, target.gradients - followed, target.dead, target.notes


def check_same(found: tuple, expected: tuple, exact: bool) -> None:
    """The images to the bit where every operation is elementary; sums in another order move the last ones."""
    assert found[1:] == expected[1:]
    for one, other in zip(found[0], expected[0], strict=True):
        assert (type(one), one.dtype) == (np.ndarray, np.float32)
        if exact:
            np.testing.assert_array_equal(one, other)
        else:
            np.testing.assert_allclose(one, other, rtol=0, atol=2e-7)


@pytest.fixture(scope="module")
def twins(open_tiny) -> Callable[[str], dict[bool, Target]]:
    """Two targets of one file. They do the same, so their sessions are for the same sizes."""
    options = {"fixed": {"kind": "fixed"}, "int8": {"kind": "int8"}, "sure": {"scale": 80},
               "cut": {"final_relu": True}}  # fmt: skip

    @functools.cache
    def make(kind: str) -> dict[bool, Target]:
        model = open_tiny(**options.get(kind, {})).model
        return {on: Target(model) for on in (False, True)}

    return make


@pytest.mark.parametrize(
    ("name", "norm", "kind"),
    [
        *((name, norm, "dynamic") for name, norm in CASES),
        *(
            (*case, kind)
            for kind in KINDS
            for case in [("pgd", "linf"), ("apgd-ce", "l2"), ("apgd-t", "linf")]
        ),
    ],
)
def test_the_device_changes_nothing(name, norm, kind, twins, tiny_images, keep):
    ranking = np.argsort(-twins(kind)[True].model.answer(tiny_images).scores, axis=1)
    for targets in (None, ranking[:, 1]):
        found = {}
        for on, target in twins(kind).items():
            keep(on)
            found[on] = attacked(target, ATTACKS[name], tiny_images, Goal(ranking[:, 0], targets), norm)
        check_same(found[True], found[False], exact=norm == "linf")
    assert (found[True][0][-1] != tiny_images).any()


def test_no_images_no_trouble(twins, tiny_images, keep):
    keep(True)
    nothing = Goal(np.zeros(0, np.int64))
    for name, norm in CASES:
        found, *_ = attacked(twins("dynamic")[True], ATTACKS[name], tiny_images[:0], nothing, norm)
        assert [images.shape for images in found] == [(0, 3, 6, 6)] * 2


@pytest.mark.parametrize("attack", [Rejection(steps=2), FalseAcceptance(steps=2, rivals=1)])
def test_attacks_on_a_threshold(attack, keep):
    images = open_images("digits")
    pixels = to_float(images.pixels(np.arange(0, 120, 60), Fit(32, 32)))
    goal, model = Goal(images.labels[np.arange(0, 120, 60)]), open_model("digits-speech")
    found = {}
    for on in (False, True):
        keep(on)
        found[on] = attacked(Target(model), attack, pixels, goal, "linf")
    check_same(found[True], found[False], exact=True)


def test_images_cross_once_in_each_direction(twins, tiny_images, keep, monkeypatch):
    """Random starts are drawn on the host and go over; of what is as large, only the result returns."""
    target, crossed = twins("dynamic")[True], {"up": [], "down": []}
    monkeypatch.setattr("vivavoce.artifacts.device.expression.LARGE", tiny_images[0].nbytes)
    value = onnxruntime.OrtValue
    size, up, down = tiny_images[0].size, value.ortvalue_from_numpy, value.numpy
    bind = onnxruntime.IOBinding.bind_cpu_input

    def note(way: str, array: np.ndarray) -> np.ndarray:
        if array.size >= size and array.dtype.kind == "f":
            crossed[way].append(array.shape)
        return array

    monkeypatch.setattr(value, "ortvalue_from_numpy", staticmethod(lambda a, *d: up(note("up", a), *d)))
    monkeypatch.setattr(value, "numpy", lambda self: note("down", down(self)))
    monkeypatch.setattr(onnxruntime.IOBinding, "bind_cpu_input", lambda s, n, a: bind(s, n, note("up", a)))
    keep(True)
    goal = Goal(decide(target.answer(tiny_images).scores))
    for name, norm in CASES:
        attacked(target, ATTACKS[name], tiny_images, goal, norm)
        balls, restarts = len(RADII[norm]), {"pgd-restarts": 2, "apgd-ce": 2, "apgd-t": 2, "apgd-malt": 2}
        starts = 0 if name in ("fgsm", "iterative") else balls * restarts.get(name, 1)
        assert 1 <= len(crossed["up"]) <= 1 + starts, name
        assert len(crossed["down"]) == balls, name
        crossed["up"].clear()
        crossed["down"].clear()


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("grid", [None, Grid(np.zeros((3, 1, 1)), np.full((3, 1, 1), 1 / 255))])
def test_balls_take_arrays_on_the_device(norm, grid, tiny_images):
    shape = (3, 1, 1) if norm == "linf" else (1, 1, 1)
    around = Ball(norm, np.full(shape, RADII[norm][1], np.float32))
    draw = np.random.default_rng(2)
    moved = (tiny_images + draw.normal(0, 0.05, tiny_images.shape)).astype(np.float32)
    moved[0, 0, 0, :3] = np.nan, np.inf, -np.inf
    clean: Any
    far: Any
    clean, far = (DeviceArray.upload(array, "cpu") for array in (tiny_images, moved))
    found: Any
    for settled in (False, True):
        found, expected = (
            around.settle(*given, grid) if settled else around.confine(*given)
            for given in ((far, clean), (moved, tiny_images))
        )
        assert "DeviceArray" in repr(found)
        np.testing.assert_array_equal(found.numpy(), expected)
        for size in (Ball.size, Ball.in_radii):
            ours, theirs = size(around, found, clean), size(around, expected, tiny_images)
            np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_answers_run_in_few_sizes_on_a_gpu(open_tiny, tiny_images, monkeypatch):
    model, fed = open_tiny().model, []
    expected = [model.answer(tiny_images[:n]).scores for n in (1, 3, 5, 8)]
    monkeypatch.setattr(model, "device", "cuda")  # the session of the CPU is there already

    def spy(session, names, feeds):
        fed.append(len(feeds["image"]))
        return run(session, names, feeds)

    monkeypatch.setattr("vivavoce.artifacts.onnx_model.run", spy)
    for scores in expected:
        for images in (tiny_images, DeviceArray.upload(tiny_images, "cpu")):
            found = model.answer(images[: len(scores)]).scores
            np.testing.assert_allclose(found, scores, rtol=1e-5, atol=1e-5)
    assert fed == [1, 1, 4, 4, 8, 8, 8, 8]


def test_other_attacks_get_numpy(twins, tiny_images, keep):
    keep(True)
    target, given = twins("dynamic")[True], []

    class Looking(FGSM):
        on_device = ()

        def sweep(self, target, images, goal, balls, streams):
            given.append(type(images))
            return super().sweep(target, images, goal, balls, streams)

    class OnDevice(Looking):
        on_device = ("linf",)

    for attack in (Looking(), OnDevice()):
        attacked(target, attack, tiny_images, Goal(np.zeros(8, np.int64)), "linf")
    assert given == [np.ndarray, DeviceArray]
    assert not any(EVERY[name].on_device for name in ("square", "fab-t", "patch", "sparse-rs", "boundary"))


@pytest.mark.parametrize(
    ("name", "attacks"),
    [
        ("small", ["fgsm", "apgd-malt"]),
        pytest.param("digits-category", ["pgd", "apgd-pm"], marks=pytest.mark.full),
    ],
)
def test_a_whole_audit_reports_the_same(name, attacks, small, keep):
    """The diagnosis too, whose probes are attacks of their own."""
    settings = Settings(
        protocol=resolve("quick", attacks, [0.02, 0.05]), data="digits", limit=8, batch_size=8
    )
    reports = []
    for on in (False, True):
        keep(on)
        found = robustness(open_model(small if name == "small" else name), settings).report
        rows = tuple(replace(row, seconds=0) for row in found.rows)
        reports.append(replace(found, rows=rows, environment=None, speed=None))
    assert reports[0] == reports[1]
