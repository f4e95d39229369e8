"""Encoders with a label bank in the commands."""

import json

import numpy as np
import pytest
from commands import inside
from encoders import SIDE, save_bank, save_encoder
from PIL import Image

from vivavoce.artifacts import Preprocessing, open_model
from vivavoce.audit.cli import main as audit
from vivavoce.audit.report import load_report
from vivavoce.audit.verification import keeping
from vivavoce.cli import main as vivavoce
from vivavoce.images import Fit, open_images
from vivavoce.images.imageset import to_float


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An encoder without a manifest, and the embeddings of 20 digits of each class as a gallery."""
    folder = tmp_path_factory.mktemp("gallery")
    save_encoder(folder / "encoder.onnx")
    images = open_images("digits")
    pixels = to_float(images.pixels(np.arange(len(images)), Fit(SIDE, SIDE, 3)))
    anything = save_bank(folder / "any.npz", np.eye(12)[:2])
    embeddings = open_model(folder / "encoder.onnx", Preprocessing(bank=str(anything))).answer(pixels).label
    assert embeddings is not None
    rows = np.stack([embeddings[images.labels == k][:20] for k in range(10)])
    save_bank(folder / "gallery.npz", rows, list(images.classes))
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[4:28, 12:20] = 255
    Image.fromarray(picture).save(folder / "one.png")
    return folder


BANK = ("--bank", "gallery.npz", "--metric", "cosine", "--threshold", "0.98")


def test_an_audit_and_its_gate(folder):
    base = (
        *("--data", "digits", "--limit", "30", "--protocol", "paper"),
        *("--epsilon-space", "pixel", "--epsilon", "0.05"),
        *("--attack", "apgd-ce", "--attack", "rejection", "--attack", "false-acceptance"),
    )
    ran = inside(audit, "robustness", "encoder.onnx", *BANK, *base, "-o", "r.json", cwd=folder)
    assert ran.returncode == 0, ran.stderr
    report = load_report(folder / "r.json")
    assert report.clean.accuracy > 0.6
    assert report.clean.nearest == report.clean.accuracy
    rows = {row.attack: row for row in report.rows if not row.targeted}
    assert rows["apgd-ce"].accuracy < report.clean.accuracy - 0.3
    assert (rows["rejection"].rejected or 0) > 0.3
    assert (rows["false-acceptance"].misled or 0) > 0.3
    assert report.model.manifest.label is not None
    assert report.model.preprocessing is not None
    assert (report.model.manifest.label.metric, report.model.preprocessing.bank) == ("cosine", "gallery.npz")
    assert all(check.level == "fine" for check in report.diagnosis), report.diagnosis
    again = inside(audit, "check", "encoder.onnx", "--baseline", "r.json", cwd=folder)
    assert again.returncode == 0, again.stdout + again.stderr
    moved = inside(
        audit, "check", "encoder.onnx", "--baseline", "r.json", *BANK[:4], "--threshold", "0.8", cwd=folder
    )
    assert moved.returncode == 1
    assert "the threshold moved from 0.98 to 0.8" in moved.stdout


def test_inspect_and_compare_and_quantise(folder):
    found = json.loads(inside(audit, "inspect", "encoder.onnx", *BANK, "--json", cwd=folder).stdout)
    assert found["head"]["kind"] == "label bank"
    assert (found["label"]["metric"], found["label"]["several"], found["label"]["pool"]) == (
        "cosine",
        20,
        "max",
    )
    shown = inside(audit, "inspect", "encoder.onnx", *BANK, cwd=folder).stdout
    assert "nearest class by cosine to the nearest of its labels" in shown
    assert "threshold: cosine over 0.98" in shown
    asked = ("--data", "digits", "--limit", "10", "--epsilon", "0.01")
    small = inside(audit, "quantize-check", "encoder.onnx", *BANK, *asked, "--save", "int8.onnx", cwd=folder)
    assert small.returncode in (0, 1), small.stderr
    assert (folder / "int8.onnx").exists()
    both = inside(
        audit, "compare", "encoder.onnx", "int8.onnx", *BANK, *asked, "--protocol", "quick", cwd=folder
    )
    assert both.returncode == 0, both.stderr


def test_classify_says_how_near(folder):
    said = inside(vivavoce, "classify", "one.png", "--model", "encoder.onnx", *BANK, cwd=folder)
    assert "cosine 0." in said.stdout, said.stderr
    assert " 0.98: " in said.stdout
    found = json.loads(
        inside(vivavoce, "classify", "one.png", "--model", "encoder.onnx", *BANK, "--json", cwd=folder).stdout
    )
    assert found["metric"] == "cosine"
    assert found["sure"] == (found["loss"] < found["threshold"])
    for command in (("classify", "one.png", "--model"), ("listen",)):
        refused = inside(vivavoce, *command, "encoder.onnx", "--bank", "gone.npz", cwd=folder)
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
        assert "gone.npz: no such label bank" in refused.stderr


def test_an_encoder_without_its_bank_is_refused(folder):
    refused = inside(audit, "robustness", "encoder.onnx", "--data", "digits", cwd=folder)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "--bank BANK.npz" in refused.stderr


def test_claims_are_verified_and_attacked(folder):
    base = ("verify", "encoder.onnx", "--data", "digits", "--limit", "20", "--epsilon", "0.05")
    done = inside(audit, *base, *BANK, "--false-accept", "0.1", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    own, clean, attacked = (found[name] for name in ("own", "clean", "attacked"))
    assert own["threshold"] == pytest.approx(0.98)
    for rates in (own, clean, attacked):
        for error in ("false_reject", "false_accept"):
            assert rates[f"{error}_attacked"]["share"] >= rates[error]["share"]
            low, high = rates[error]["interval"]
            assert low <= rates[error]["share"] <= high
    assert own["false_accept_attacked"]["share"] > own["false_accept"]["share"]
    assert clean["false_accept"]["share"] <= 0.1
    assert attacked["false_accept_attacked"]["share"] <= 0.1
    assert attacked["threshold"] >= clean["threshold"]
    shown = inside(audit, *base, *BANK[:2], cwd=folder).stdout  # without a threshold of its own
    assert "accepts at most 0.01 of impostors" in shown
    assert "the model's" not in shown
    for model, message in (
        ("digits-category", "verification needs a label bank"),
        ("encoder.onnx", "--bank BANK"),
    ):
        refused = inside(audit, "verify", model, "--data", "digits", "--limit", "5", cwd=folder)
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
        assert message in refused.stderr
    refused = inside(audit, *base, *BANK, "--false-accept", "2", cwd=folder)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)


def test_the_largest_threshold_that_keeps_a_rate():
    losses = np.arange(100.0)
    for wanted in (0.001, 0.01, 0.05, 0.5):
        threshold = keeping(losses, wanted)
        assert (losses < threshold).mean() <= wanted < (losses <= threshold).mean()
