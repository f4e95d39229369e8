"""Two reports against each other: what fails, what passes, and what is refused."""

import math

import msgspec
import numpy as np
import pytest
from scipy import stats

from vivavoce.audit import Limits
from vivavoce.audit.diagnosis.table import Check
from vivavoce.audit.gate.comparison import compare_reports
from vivavoce.audit.gate.limits import read_limits
from vivavoce.audit.gate.pairing import vectors
from vivavoce.audit.report import pack_bits
from vivavoce.audit.statistics import holm, sign_test, smallest_drop
from vivavoce.errors import VivavoceError

replace = msgspec.structs.replace


@pytest.mark.parametrize(("lost", "gained"), [(0, 0), (1, 0), (9, 1), (20, 10), (30, 30), (700, 650), (3, 8)])
def test_the_sign_test_is_the_binomial_tail(lost, gained):
    expected = stats.binom.sf(lost - 1, lost + gained, 0.5)
    assert sign_test(lost, gained) == pytest.approx(expected, rel=1e-9)


def test_holm_by_hand():
    """Holm 1979, section 3, worked by hand: 0.01 * 4, 0.02 * 3, then never less than before."""
    assert holm([0.04, 0.01, 0.05, 0.02]) == pytest.approx([0.08, 0.04, 0.08, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_the_smallest_drop_is_just_significant():
    for n, m in ((360, 10), (1000, 23), (50, 1)):
        share = smallest_drop(n, m, 0.05)
        assert share is not None
        lost = round(share * n)
        assert m * sign_test(lost, 0) <= 0.05 < m * sign_test(lost - 1, 0)
    assert smallest_drop(5, 10, 0.05) is None


def test_a_report_against_itself_is_all_the_same(shipped):
    comparison = compare_reports(shipped, shipped)
    assert comparison.passed
    assert {row.result for row in comparison.rows} == {"same"}
    assert comparison.agreement == 1
    assert not comparison.changes
    assert [row.name for row in comparison.rows][:3] == ["clean", "fgsm@0.1", "fgsm@0.15"]


@pytest.mark.parametrize(
    ("lost", "gained", "result"),
    [
        (40, 0, "failed"),
        (40, 4, "failed"),
        (7, 0, "unproven"),  # 1.9 points, but 10 * 2**-7 > 0.05
        (8, 0, "failed"),  # 10 * 2**-8 < 0.05
        (3, 0, "tolerated"),
        (20, 17, "tolerated"),
        (20, 10, "unproven"),
        (0, 0, "same"),
        (10, 10, "same"),
        (0, 5, "same"),
        (0, 12, "improved"),
    ],
)
def test_what_a_row_comes_to(shipped, lose, lost, gained, result):
    comparison = compare_reports(shipped, lose(shipped, lost, gained))
    row = comparison.rows[1]
    assert (row.lost, row.gained) == (lost, gained)
    assert row.result == result
    assert comparison.passed == (result != "failed")
    assert ("fgsm, untargeted, epsilon 0.1" in comparison.summary.lower()) == (result == "failed")


def test_a_tolerance_of_its_own(shipped, lose):
    worse = lose(shipped, 15)
    assert not compare_reports(shipped, worse).passed
    assert compare_reports(shipped, worse, Limits(row_drops=(("fgsm@*", 5.0),))).passed
    assert compare_reports(shipped, worse, Limits(max_drop=5)).passed
    assert not compare_reports(shipped, worse, Limits(5, (("fgsm@0.1", 1.0),))).passed
    with pytest.raises(VivavoceError, match=r"no row matches 'pgd'; the rows are clean, fgsm@0\.1"):
        compare_reports(shipped, worse, Limits(row_drops=(("pgd", 1.0),)))


def test_limits_from_the_command_line():
    limits = read_limits(["2", "fgsm@*=3", "clean=0.5"], 0.01, None, 1.5)
    assert [limits.tolerance(n) for n in ("clean", "fgsm@0.1", "robust")] == [0.5, 3, 2]
    for drops, alpha, latency in (
        (["x"], 0.05, None),
        (["-1"], 0.05, None),
        ([], 2.0, None),
        ([], 0.05, 0.0),
    ):
        with pytest.raises(VivavoceError):
            read_limits(drops, alpha, latency, None)


def test_epsilon_zero_is_the_clean_figure_and_counted_once(shipped_speech):
    rows = []
    for row in shipped_speech.rows:
        if row.epsilon == 0.1:
            rows.append(replace(row, epsilon=0.0, epsilon_pixels=(0.0, 0.0, 0.0)))
        rows.append(row)
    protocol = replace(shipped_speech.protocol, epsilons=(0.0, *shipped_speech.protocol.epsilons))
    with_zero = replace(shipped_speech, rows=tuple(rows), protocol=protocol)
    assert vectors(with_zero).keys() == vectors(shipped_speech).keys()
    assert "clean/threshold" in vectors(shipped_speech)


def check(name, level):
    return Check(name, level, 1.0, 0.0, "it is so", "")


@pytest.mark.parametrize(
    ("name", "before", "after", "result"),
    [
        ("dead gradients", "fine", "masked", "failed"),
        ("dead gradients", "suspicious", "masked", "failed"),
        ("still moving", "fine", "suspicious", "warning"),
        ("probabilities for scores", "fine", "suspicious", "failed"),
        ("random answers", "fine", "suspicious", "failed"),
        ("dead gradients", "masked", "fine", "better"),
        ("dead gradients", "masked", "masked", None),
    ],
)
def test_changes_of_the_diagnosis(shipped, name, before, after, result):
    old, new = (replace(shipped, diagnosis=(check(name, level),)) for level in (before, after))
    comparison = compare_reports(old, new)
    assert [c.result for c in comparison.changes] == ([result] if result else [])
    assert comparison.passed == (result != "failed")


def test_masking_fails_even_where_the_number_rose(shipped, lose):
    risen = replace(lose(shipped, 0, 30), diagnosis=(check("dead gradients", "masked"),))
    comparison = compare_reports(shipped, risen)
    assert comparison.rows[1].result == "improved"
    assert not comparison.passed


def test_a_loosened_threshold_fails(shipped_speech):
    manifest = shipped_speech.model.manifest
    loose = replace(manifest, decoding=replace(manifest.decoding, threshold=100.0))
    comparison = compare_reports(
        shipped_speech, replace(shipped_speech, model=replace(shipped_speech.model, manifest=loose))
    )
    assert not comparison.passed
    assert "threshold moved from 3.5 to 100" in comparison.summary
    assert not any(row.name.endswith("/threshold") for row in comparison.rows)


def test_costs_fail_only_where_they_are_limited(shipped):
    large = replace(shipped, model=replace(shipped.model, size=2 * shipped.model.size))
    assert compare_reports(shipped, large).passed
    assert not compare_reports(shipped, large, Limits(max_size=1.5)).passed
    slow = replace(shipped, speed=replace(shipped.speed, milliseconds=3 * shipped.speed.milliseconds))
    assert compare_reports(shipped, slow).passed
    assert "latency x3.00" in compare_reports(shipped, slow, Limits(max_latency=2)).summary
    (latency,) = (r for r in compare_reports(shipped, slow).ratios if r.name == "latency")
    assert latency.after == pytest.approx(3 * latency.before)  # the figures agree with the ratio
    with pytest.raises(VivavoceError, match="--update"):
        compare_reports(replace(shipped, speed=None), slow, Limits(max_latency=2))


def test_a_faster_machine_is_not_a_faster_model(shipped):
    speed = replace(
        shipped.speed, milliseconds=shipped.speed.milliseconds / 2, reference=shipped.speed.reference / 2
    )
    ratio = compare_reports(shipped, replace(shipped, speed=speed)).ratios[-1]
    assert ratio.ratio == pytest.approx(1)


MISMATCHES = {
    "the data differ": lambda r: replace(r, data=replace(r.data, digest="0" * 64)),
    "seed: 0; 1": lambda r: replace(r, environment=replace(r.environment, seed=1)),
    "epsilons: 0.1, 0.15; 0.1)": lambda r: narrowed(r, epsilons=(0.1,)),
    "attacks: fgsm, iterative; fgsm)": lambda r: narrowed(r, attacks=("fgsm",)),
    "norm: linf; l2": lambda r: replace(r, protocol=replace(r.protocol, norm="l2")),
    "targets: drawn; 360 chosen": lambda r: replace(r, images=tuple(replace(i, target=1) for i in r.images)),
    "are different boxes": lambda r: replace(r, rows=tuple(map(elsewhere, r.rows))),
    "9 classes instead of 10": lambda r: renamed(r, r.model.manifest.classes[:9]),
    "in a different order": lambda r: renamed(r, r.model.manifest.classes[::-1]),
    "with different names": lambda r: renamed(r, (*r.model.manifest.classes[:9], "ten")),
}  # fmt: skip


def narrowed(report, **protocol):
    """Part of a report, as if no more had been asked for."""
    protocol = replace(report.protocol, **protocol)
    kept = set(protocol.grid())
    rows = tuple(row for row in report.rows if (row.attack, row.targeted, row.epsilon) in kept)
    return replace(report, protocol=protocol, rows=rows)


def elsewhere(row):
    return replace(row, epsilon_pixels=(0.5,) * 3)


def renamed(report, classes):
    manifest = replace(report.model.manifest, classes=classes, spoken=())
    return replace(report, model=replace(report.model, manifest=manifest))


@pytest.mark.parametrize("what", MISMATCHES)
def test_what_does_not_match_is_refused(shipped, what):
    with pytest.raises(VivavoceError, match="cannot be compared") as caught:
        compare_reports(shipped, MISMATCHES[what](shipped))
    assert what in str(caught.value)


@pytest.mark.parametrize("bits", ["", "!!!", "AAAA"])
def test_damaged_outcomes_are_refused(shipped, bits):
    rows = (replace(shipped.rows[0], survivors=bits), *shipped.rows[1:])
    with pytest.raises(VivavoceError, match="damaged"):
        compare_reports(replace(shipped, rows=rows), shipped)
    with pytest.raises(VivavoceError, match="damaged"):
        compare_reports(shipped, replace(shipped, images=shipped.images[1:]))


def test_a_comparison_tests_both_ways_and_judges_nothing(shipped, lose):
    lower = compare_reports(shipped, lose(shipped, 12), gate=False)
    higher = compare_reports(lose(shipped, 12), shipped, gate=False)
    assert (lower.rows[1].result, higher.rows[1].result) == ("lower", "higher")
    assert lower.rows[1].p == higher.rows[1].p == pytest.approx(2 * 2**-12 * 10)
    assert lower.passed
    assert lower.summary.endswith("1 of 10 rows lower, 0 higher")


def test_a_few_images_can_show_nothing_and_say_so(shipped):
    flags = np.ones(3, bool)
    rows = tuple(replace(r, survivors=pack_bits(flags)) for r in shipped.rows)
    small = replace(shipped, rows=rows, images=shipped.images[:3], data=replace(shipped.data, n=3))
    comparison = compare_reports(small, small)
    assert comparison.smallest_drop is None
    assert "too few" in comparison.resolution
    assert math.isclose(comparison.agreement, 1)
