"""The small parts of the audit."""

import math

import jsonschema
import msgspec
import numpy as np
import pytest
from scipy.stats import binomtest

from vivavoce.artifacts.manifest import Input
from vivavoce.audit.protocol import PROTOCOLS, resolve, target_classes
from vivavoce.audit.report import json_schema, pack_bits, unpack_bits
from vivavoce.audit.statistics import sign_test, wilson
from vivavoce.errors import VivavoceError


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 10), (10, 10), (358, 360), (500, 1000)])
def test_wilson_is_scipys(k, n):
    reference = binomtest(k, n).proportion_ci(method="wilson")
    assert wilson(k, n) == pytest.approx((reference.low, reference.high), abs=1e-12)


def test_wilson_of_nothing_is_everything():
    assert wilson(0, 0) == (0, 1)


def test_targets_are_never_true_cover_all_classes_and_depend_on_the_seed_alone():
    labels = np.arange(1000) % 10
    goals = target_classes(labels, 10, 0)
    assert not np.any(goals == labels)
    assert set(goals[labels == 3]) == set(range(10)) - {3}
    assert np.array_equal(goals, target_classes(labels, 10, 0))
    assert not np.array_equal(goals, target_classes(labels, 10, 1))


def test_normalized_epsilon_becomes_pixels_by_the_standard_deviation():
    entry = Input(32, 32, mean=(0.5,) * 3, std=(0.2, 0.3, 0.4))
    radius = PROTOCOLS["paper"].ball(0.1, entry).radius
    assert radius.ravel() == pytest.approx([0.02, 0.03, 0.04])
    assert resolve("paper", space="pixel").ball(0.1, entry).radius.ravel() == pytest.approx([0.1] * 3)


def test_the_papers_protocol():
    paper = resolve("paper")
    assert paper.epsilons == pytest.approx([0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3])
    assert paper.attacks == ("fgsm", "iterative")
    assert paper.targeted == (False, True)
    assert paper.epsilon_space == "normalized"


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "strong"},
        {"name": "paper", "attacks": ["magic"]},
        {"name": "paper", "epsilons": [-1.0]},
        {"name": "paper", "epsilons": [math.nan]},
        {"name": "paper", "epsilons": [math.inf]},
        {"name": "paper", "space": "metres"},
    ],
)
def test_protocols_that_make_no_sense_are_refused(changes):
    with pytest.raises(VivavoceError):
        resolve(**changes)


@pytest.mark.parametrize("n", [1, 7, 8, 9, 360])
def test_bits_survive_packing(n):
    flags = np.random.default_rng(n).random(n) < 0.5
    assert np.array_equal(unpack_bits(pack_bits(flags), n), flags)


def test_the_schema_that_ships_is_the_reports(repository):
    shipped = msgspec.json.decode((repository / "audit" / "report.schema.json").read_bytes())
    assert shipped == msgspec.json.decode(msgspec.json.encode(json_schema()))
    jsonschema.Draft202012Validator.check_schema(shipped)


@pytest.mark.parametrize(("more", "fewer"), [(0, 0), (5, 0), (7, 3), (3, 7), (40, 38)])
def test_the_sign_test_is_scipys(more, fewer):
    expected = binomtest(more, more + fewer, alternative="greater").pvalue if more + fewer else 1.0
    assert sign_test(more, fewer) == pytest.approx(expected)
