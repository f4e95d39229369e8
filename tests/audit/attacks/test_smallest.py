"""The smallest perturbations: as small as FAB's, and the same in the rows and in the report."""

import json

import numpy as np
import pytest
from commands import inside

from vivavoce.artifacts import decide
from vivavoce.audit.attacks.base import Ball, Goal
from vivavoce.audit.attacks.fab import FAB
from vivavoce.audit.attacks.fmn import FMN
from vivavoce.audit.attacks.sigma_zero import SigmaZero
from vivavoce.audit.attacks.streams import Streams
from vivavoce.audit.cli import main
from vivavoce.audit.protocol import resolve
from vivavoce.audit.report import load_report
from vivavoce.audit.sensitivity import curve, smallest_sizes
from vivavoce.errors import VivavoceError

WHOLE = {"linf": 1.0, "l2": 11.0, "l1": 108.0, "l0": 36.0}


def ball(norm, radius):
    return Ball(norm, np.full((3 if norm == "linf" else 1, 1, 1), radius, np.float32))


def sizes(attack, target, images, around):
    goal = Goal(decide(target.answer(images).scores))
    streams = Streams.of(0, attack.name, np.arange(len(images)))
    (out,) = attack.sweep(target, images, goal, [around], streams)
    assert 0 <= out.min() <= out.max() <= 1
    assert goal.reached(target.answer(out).scores).all()
    return around.size(out, images)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_fmn_finds_what_fab_finds(norm, open_tiny, tiny_images):
    target, around = open_tiny(), ball(norm, WHOLE[norm])
    ours = sizes(FMN(200), target, tiny_images, around)
    fab = sizes(FAB(steps=60, rivals=None, minimum=True), target, tiny_images, around)
    assert np.median(ours / fab) < 1.03
    assert np.all(ours < 1.5 * fab)


def test_fewer_pixels_than_half_do_not_break_what_sigma_zero_finds_smallest(open_tiny, tiny_images):
    target = open_tiny()
    found = sizes(SigmaZero(200, minimum=True), target, tiny_images, ball("l0", WHOLE["l0"]))
    goal = Goal(decide(target.answer(tiny_images).scores))
    rng = np.random.default_rng(0)
    for _ in range(200):  # random pixels, as many, seldom do
        changed = tiny_images.copy()
        for k, count in enumerate(found.astype(int)):
            places = rng.permutation(36)[:count]
            changed[k].reshape(3, 36)[:, places] = rng.integers(0, 2, (3, count))
        assert goal.reached(target.answer(changed).scores).mean() < 0.7


@pytest.mark.parametrize("norm", ["linf", "l0"])
def test_the_report_has_every_size_and_the_rows_agree_with_them(norm, small, tmp_path):
    options = f"--limit 30 --smallest --norm {norm} -o a.json -o a.html -o a.svg -o a.csv"
    done = inside(main, "robustness", small, *options.split(), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = load_report(tmp_path / "a.json")
    found = smallest_sizes(report)
    assert found is not None
    for image, size in zip(report.images, found, strict=True):
        assert (size == 0) == (image.clean != image.label)
    for row in report.rows:
        assert row.accuracy == pytest.approx((found > row.epsilon * (1 + 1e-6)).mean(), abs=1.01 / 30)
    middle = float(np.sort(found)[15])
    assert f"median smallest change that breaks an image: {report.protocol.measured(middle)}" in done.stdout
    exact = curve(report)
    assert exact is not None
    assert exact.accuracy[0] == report.clean.accuracy
    assert exact.accuracy == sorted(exact.accuracy, reverse=True)
    assert len(json.loads((tmp_path / "a.json").read_text())["rows"]) == 6
    assert (tmp_path / "a.html").read_text().count("<polyline") >= 1


def test_boxes_of_different_widths_are_measured_in_epsilons(small, tmp_path):
    options = "--limit 20 --smallest --epsilon-space normalized --epsilon 0.1,0.5,2 -o a.json"
    done = inside(main, "robustness", small, *options.split(), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = load_report(tmp_path / "a.json")
    found = smallest_sizes(report)
    assert found is not None
    for row in report.rows:
        assert row.accuracy == pytest.approx((found > row.epsilon * (1 + 1e-6)).mean(), abs=1.01 / 20)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"attacks": ["pgd"]}, "--smallest has an attack of its own"),
        ({"name": "natural"}, "no --smallest"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, says):
    with pytest.raises(VivavoceError, match=says):
        resolve(**({"name": "standard"} | options), smallest=True)


def test_without_a_gradient_the_boundary_is_searched(open_tiny):
    target = open_tiny(step="Floor")
    assert resolve("standard", smallest=True).fitted(target).attacks == ("boundary-minimum",)
    with pytest.raises(VivavoceError, match="use linf or l2"):
        resolve("standard", norm="l1", smallest=True).fitted(target)
