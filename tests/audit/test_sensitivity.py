"""Several epsilons in one ensemble, and what they say together."""

import msgspec
import numpy as np
import pytest
from breaking import changed, with_noise

from vivavoce.artifacts import open_model
from vivavoce.audit.evaluate import evaluate
from vivavoce.audit.gate.comparison import compare_reports
from vivavoce.audit.plan import Settings
from vivavoce.audit.protocol import resolve
from vivavoce.audit.report import pack_bits
from vivavoce.audit.run import robustness
from vivavoce.audit.sensitivity import blind, median_smallest, steps_survived
from vivavoce.audit.target import Target
from vivavoce.audit.writing.table import markdown
from vivavoce.images import open_images

GRID = (4 / 255, 12 / 255, 24 / 255)


@pytest.fixture(scope="module")
def nested(small):
    protocol = resolve("quick", epsilons=GRID)
    return robustness(open_model(small), Settings(protocol=protocol, limit=20))


def test_what_breaks_in_a_ball_is_broken_in_the_larger_ones(nested):
    outcomes = nested.evaluation.outcomes
    for attack in ("pgd", "square-300"):
        small, middle, large = (o.right for o in outcomes if o.attack == attack)
        assert np.all(large <= middle)
        assert np.all(middle <= small)
        assert large.sum() < middle.sum()


def test_the_smaller_balls_agree_with_attacks_on_each_alone(nested, small):
    target, indices = Target(open_model(small)), nested.evaluation.indices
    for epsilon in GRID[:2]:
        alone = evaluate(target, open_images("digits"), indices, resolve("quick", epsilons=[epsilon]))
        assert np.sum(alone.robust() != nested.evaluation.robust(epsilon)) <= 1


def test_an_image_that_stands_in_the_largest_ball_is_attacked_once(nested):
    rows = [row for row in nested.report.rows if row.attack == "square-300"]
    standing = nested.evaluation.robust(GRID[2]).sum()
    # 300 queries for each image that stands; those that stand in the largest ball cost nothing in the others.
    middle = nested.evaluation.robust(GRID[1]).sum()
    assert rows[1].queries <= 310 * (nested.evaluation.robust(GRID[0]).sum() - standing)
    assert standing < middle


def test_the_median_is_that_of_the_images(nested):
    steps = steps_survived(nested.report)
    right = nested.evaluation.right
    assert np.array_equal(steps == -1, ~right)
    assert np.array_equal(steps == 3, nested.evaluation.robust(GRID[2]))
    median = median_smallest(nested.report)
    assert median is not None
    names = {0: "4/255", 1: "12/255", 2: "24/255", 3: "over 24/255"}
    assert median.middle == names[int(np.sort(steps)[10])]
    assert median.line in markdown(nested.report)


def test_one_epsilon_has_no_median(nested):
    one = msgspec.structs.replace(nested.report.protocol, epsilons=GRID[:1])
    assert median_smallest(msgspec.structs.replace(nested.report, protocol=one)) is None


@pytest.mark.parametrize(
    ("share", "message"),
    [
        (0.0, "every row is at 0.0 %, so none can drop; a smaller epsilon, such as 1/255"),
        (1.0, "the attacks break no image; a larger epsilon, such as 96/255"),
        (0.5, None),
    ],
)
def test_rows_that_cannot_move_are_reported(nested, share, message):
    report = nested.report
    n, clean = report.data.n, report.clean.accuracy
    rows = tuple(
        msgspec.structs.replace(row, accuracy=share * clean, survivors=pack_bits(np.zeros(n, bool)))
        for row in report.rows
    )
    found = blind(msgspec.structs.replace(report, rows=rows))
    assert found == message or (found is not None and message is not None and found.startswith(message))


def noisy(audited, model, folder, scale):
    path = changed(model, folder / "noisy.onnx", with_noise(scale))
    protocol = audited.report.protocol
    return robustness(open_model(path), Settings(protocol=protocol, limit=20)).report


def test_the_gate_compares_the_smallest_epsilon_of_every_image(nested, small, tmp_path):
    """Where the rows at single epsilons say little, all of them together are significant."""
    after = noisy(nested, small, tmp_path, 0.8)
    rows = {row.name: row for row in compare_reports(nested.report, after).rows}
    row = rows.pop("smallest-epsilon")
    before, now = steps_survived(nested.report), steps_survived(after)
    assert (row.lost, row.gained) == (np.sum(now < before), np.sum(now > before))
    assert row.points == pytest.approx(100 * (now - before).mean() / 4)
    assert row.result == "failed"
    assert not [other for other in rows.values() if other.result == "failed"]


def test_rows_that_cannot_drop_cost_no_correction(nested):
    """A baseline whose rows are at zero is corrected over the others alone."""
    report = nested.report
    none = pack_bits(np.zeros(report.data.n, bool))
    rows = tuple(msgspec.structs.replace(row, survivors=none, accuracy=0.0) for row in report.rows)
    images = tuple(msgspec.structs.replace(image, clean=image.label) for image in report.images)
    blind_ = msgspec.structs.replace(report, rows=rows, images=images)
    fewer = [msgspec.structs.replace(image, clean=(image.label + 1) % 10) for image in images[:6]]
    worse = msgspec.structs.replace(blind_, images=(*fewer, *images[6:]))
    found = {row.name: row for row in compare_reports(blind_, worse).rows}
    assert found["clean"].p == pytest.approx(2 * 2**-6)  # two rows can drop: clean and smallest-epsilon
    assert found["pgd@4/255"].p == 1
