"""Every check against observations that were made up, so that the answer is known."""

from dataclasses import replace

import numpy as np
import pytest

from vivavoce.audit.diagnosis.observations import Observations
from vivavoce.audit.diagnosis.table import CHECKS, PIECEWISE, diagnose, prose_of
from vivavoce.audit.diagnosis.verdict import verdict

N, K = 64, 10
SCORES = np.random.default_rng(0).normal(0, 3, (N, K)).astype(np.float32)


def broken(count: int) -> np.ndarray:
    """The first `count` of the images."""
    return np.arange(N) < count


HEALTHY = Observations(
    classes=K,
    epsilon=0.03,
    clean_correct=95,
    clean_total=100,
    dead=0.0,
    strayed=(64, 0),
    not_finite=(0, 360),
    single_step=broken(30),
    iterative=broken(40),
    longer=broken(41),
    wider=broken(60),
    huge=broken(64),
    grey=~broken(6),
    paper=broken(38),
    margin=broken(40),
    black_box=broken(35),
    scores=SCORES,
    scores_again=SCORES,
    scores_apart=SCORES * np.float32(1 + 1e-6),
    flips=broken(0),
    largest=8 / 255,
    rounded=(40, 39),
)

FAULTS = {
    "no gradient": (
        {"gradients_missing": "no rule for Round", "iterative": None, "longer": None},
        "suspicious",
    ),
    "gradient of another function": ({"strayed": (64, 3)}, "suspicious"),
    "dead gradients": ({"dead": 0.3}, "masked"),
    "single step beats iterative": ({"single_step": broken(50)}, "masked"),
    "black box beats white box": ({"black_box": broken(44)}, "masked"),
    "survival at a huge epsilon": ({"huge": broken(45)}, "masked"),
    "still moving": ({"longer": broken(52)}, "suspicious"),
    "larger epsilon does worse": ({"wider": broken(30)}, "masked"),
    "margin attack breaks more": ({"paper": broken(25)}, "weak"),
    "unstable scores": ({"flips": broken(4)}, "suspicious"),
    "saturated output": ({"scores": np.eye(K, dtype=np.float32)[np.arange(N) % K]}, "masked"),
    "probabilities for scores": ({"scores": np.full((N, K), 1 / K, np.float32)}, "suspicious"),
    "scores that are not finite": ({"not_finite": (12, 360), "clean_correct": 11}, "suspicious"),
    "random answers": ({"scores_again": SCORES + np.float32(0.1)}, "suspicious"),
    "batch-dependent answers": ({"scores_apart": SCORES + np.float32(0.1)}, "suspicious"),
    "lost by rounding": ({"rounded": (40, 19)}, "suspicious"),
    "box below one pixel step": ({"largest": 0.9 / 255}, "suspicious"),
    "misread model": ({"clean_correct": 11}, "suspicious"),
}


def levels(seen: Observations) -> dict[str, str]:
    return {check.name: check.level for check in diagnose(seen)}


def test_every_check_has_a_fault_here():
    assert FAULTS.keys() == CHECKS.keys() - {PIECEWISE}


def test_a_healthy_audit_raises_no_alarm():
    found = levels(HEALTHY)
    assert found.keys() == CHECKS.keys() - {PIECEWISE}
    assert set(found.values()) == {"fine"}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_caught_by_its_check(name):
    changes, level = FAULTS[name]
    assert levels(replace(HEALTHY, **changes))[name] == level


@pytest.mark.parametrize("name", FAULTS)
def test_a_statistic_above_its_limit_is_what_raises_the_alarm(name):
    for seen in (HEALTHY, replace(HEALTHY, **FAULTS[name][0])):
        check = next(c for c in diagnose(seen) if c.name == name)
        assert (check.statistic > check.limit) == (check.level != "fine")


def test_checks_without_their_observations_keep_silent():
    bare = Observations(classes=K, epsilon=0.03, clean_correct=0, clean_total=1, dead=0.0)
    assert set(levels(bare)) == {"no gradient", "dead gradients", "misread model"}


@pytest.mark.parametrize(("radius", "level"), [(0.0, "suspicious"), (0.5, "suspicious"), (1, "fine")])
def test_a_box_below_one_pixel_step_is_never_just_trustworthy(radius, level):
    seen = replace(HEALTHY, largest=float(np.float32(radius / 255)))
    assert levels(seen)["box below one pixel step"] == level
    words = verdict(broken(64), "pgd", diagnose(seen))
    assert ("trustworthy" in words) == (level == "fine")
    assert ("smaller than one 8-bit pixel step" in words) == (level != "fine")


def test_scores_that_are_not_finite_are_named_and_preprocessing_is_not_blamed():
    bad = np.where(np.arange(N)[:, None] < 12, np.float32(np.nan), SCORES)
    for scores in (bad, np.full_like(SCORES, np.inf)):
        changes = {"scores": scores, "scores_again": scores, "scores_apart": scores}
        checks = diagnose(replace(HEALTHY, not_finite=(12, 360), clean_correct=11, dead=0.5, **changes))
        assert all(np.isfinite(check.statistic) for check in checks)
        words = verdict(broken(64), "pgd", checks)
        assert "12 of 360 images have scores that are not finite" in words
        assert "preprocessing" not in words


def test_a_box_below_one_pixel_step_is_named_beside_masked_gradients():
    words = verdict(broken(64), "pgd", diagnose(replace(HEALTHY, largest=0.5 / 255, dead=0.5)))
    assert "masked because" in words
    assert "smaller than one 8-bit pixel step" in words


def test_weak_attacks_do_not_blame_the_gradient():
    words = verdict(broken(16), "fgsm", diagnose(replace(HEALTHY, paper=broken(25))))
    assert "gradients trustworthy; the paper's attacks are too weak here: 60.9% of 64" in words
    words = verdict(broken(16), "fgsm", diagnose(replace(HEALTHY, paper=broken(25), dead=0.5)))
    assert "gradients masked because 50.0%" in words
    assert "too weak here" in words


@pytest.mark.parametrize(
    ("grey", "huge", "level"),
    [
        (np.ones(1, bool), np.zeros(1, bool), "fine"),  # one unlucky start is no proof
        (np.zeros(64, bool), np.zeros(64, bool), None),  # all images are of the class of a grey picture
        (~broken(60), broken(60), "masked"),
        (~broken(60), broken(63), "fine"),
    ],
)
def test_only_images_that_grey_breaks_can_survive_by_fault(grey, huge, level):
    found = levels(replace(HEALTHY, grey=grey, huge=huge))
    assert found.get("survival at a huge epsilon") == level


def test_small_paired_differences_are_chance():
    assert levels(replace(HEALTHY, single_step=broken(43)))["single step beats iterative"] == "fine"


def test_the_verdict_says_what_is_wrong():
    survived = broken(16)
    words = verdict(survived, "pgd", diagnose(HEALTHY))
    assert words.startswith("robust accuracy 25.0% (95 % interval")
    assert words.endswith("gradients trustworthy")
    masked = verdict(survived, "pgd", diagnose(replace(HEALTHY, dead=0.5, flips=broken(9))))
    assert "masked because 50.0% of the gradients" in masked
    assert "suspicious" not in masked
    assert "suspicious because" in verdict(survived, "pgd", diagnose(replace(HEALTHY, flips=broken(9))))


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_is_explained_in_the_documentation(name, repository):
    page = (repository / "docs" / "diagnosis.md").read_text()
    assert f"## {name}" in page.lower()
    assert prose_of(name) in " ".join(page.split())
