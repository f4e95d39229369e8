"""Audits that end early hold whole images, which are a random sample of all."""

from dataclasses import replace

import numpy as np
import pytest

from vivavoce.artifacts import open_model
from vivavoce.audit.digests import image_digests, joint_digest
from vivavoce.audit.gate.checking import check
from vivavoce.audit.gate.repeating import settings_of
from vivavoce.audit.plan import Settings, random_order
from vivavoce.audit.protocol import resolve
from vivavoce.audit.report import load_report, unpack_bits
from vivavoce.audit.run import robustness
from vivavoce.errors import VivavoceError
from vivavoce.images import Fit, open_images

SAMPLE = 24
SETTINGS = Settings(
    protocol=resolve("quick", ["fgsm", "pgd"], [0.05, 0.1]), data="digits", limit=SAMPLE, batch_size=5
)


@pytest.fixture(scope="module")
def model(small):
    return open_model(small)


@pytest.fixture(scope="module")
def whole(model):
    return robustness(model, SETTINGS)


def ended(model, finished, settings=SETTINGS):
    return robustness(model, settings, enough=lambda evaluation, done: done >= finished)


def survivors(report):
    rows = {(r.attack, r.epsilon): unpack_bits(r.survivors, report.data.n) for r in report.rows}
    return {key: dict(zip((i.index for i in report.images), bits, strict=True)) for key, bits in rows.items()}


def test_the_first_images_of_the_random_order_have_the_outcomes_of_the_whole_audit(model, whole):
    part = ended(model, 10)
    sample = [image.index for image in whole.report.images]
    assert sample == sorted(sample)
    expected = sorted(sample[place] for place in random_order(SAMPLE, 0)[:10])
    assert [image.index for image in part.report.images] == expected != sample[:10]
    assert (part.report.data.n, part.report.data.planned) == (10, SAMPLE)
    assert part.report.data.sample.startswith("the first 10 in random order of a stratified sample of 24 of ")
    outcomes = {image.index: image for image in whole.report.images}
    assert all(image == outcomes[image.index] for image in part.report.images)
    complete = survivors(whole.report)
    for row, kept in survivors(part.report).items():
        assert kept.items() <= complete[row].items()
    assert all(example.place < 10 for example in part.evaluation.examples)
    images, fit = open_images("digits"), Fit.of(model.manifest.input)
    assert part.report.data.digest == joint_digest(image_digests(images, np.array(expected), fit))
    assert part.report.verdict.endswith("; 10 of 24 images were finished")


def test_the_batch_size_does_not_choose_the_images(model):
    parts = [ended(model, 8, replace(SETTINGS, batch_size=size)).report for size in (2, 8)]
    assert parts[0].images == parts[1].images
    assert parts[0].data == parts[1].data


def test_whole_audits_say_nothing_of_an_end(whole):
    assert whole.report.data.planned is None
    assert "finished" not in whole.report.verdict
    assert settings_of(whole.report).finish is None
    assert "planned" not in whole.report.data.sample


def test_a_report_that_ended_early_is_a_baseline(model, whole, tmp_path):
    part = ended(model, 10).report
    (tmp_path / "part.json").write_bytes(part.to_json())
    result = check(model, load_report(tmp_path / "part.json"))
    assert result.audit.report.images == part.images
    assert result.audit.report.data == part.data


def test_damaged_numbers_of_images_are_refused(model, tmp_path):
    text = ended(model, 10).report.to_json().replace(b'"planned": 24', b'"planned": 9')
    (tmp_path / "part.json").write_bytes(text)
    with pytest.raises(VivavoceError, match="10 images of 9"):
        load_report(tmp_path / "part.json")


def test_shards_cannot_end_early(model):
    with pytest.raises(VivavoceError, match="cannot end early"):
        ended(model, 10, replace(SETTINGS, spread=lambda *_: None))
