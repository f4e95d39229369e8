"""Two sets of the same objects: pairs, the test, the lost images, the gate."""

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from breaking import changed, with_noise
from commands import inside
from PIL import Image
from small import small_digits

from vivavoce.artifacts import open_model
from vivavoce.audit.cli import main
from vivavoce.audit.plan import Settings
from vivavoce.audit.pytest_plugin import Examiner
from vivavoce.audit.report import load_report
from vivavoce.audit.run import robustness
from vivavoce.audit.statistics import sign_test
from vivavoce.errors import VivavoceError
from vivavoce.images import Fit, open_images, paired

COUNT = 60


def write(folder: Path, images, dim: float) -> None:
    """Digits as files; every third one is made as dark as `dim`."""
    for k in range(COUNT):
        pixels = images.read(k, Fit(32, 32, 3)) * (dim if k % 3 == 0 else 1)
        path = folder / images.classes[images.labels[k]] / f"{k:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(path)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("shift")
    small_digits(home / "model.onnx")
    images = open_images("digits")
    write(home / "clean", images, 1)
    write(home / "night", images, 0.02)
    outputs = [f"--output=model{suffix}" for suffix in (".json", ".html", ".md", ".xml", ".csv")]
    shift = ["--data=clean", "--shifted=night"]
    done = inside(main, "robustness", "model.onnx", *shift, *outputs, cwd=home)
    assert done.returncode == 0, done.stderr
    (home / "said.txt").write_text(done.stdout)
    return home


def answers(home: Path, folder: str) -> dict[str, bool]:
    """Which images the model gets right, by file."""
    images, model = open_images(home / folder), open_model(home / "model.onnx")
    assert images.files is not None
    right = {}
    for k, name in enumerate(images.files):
        pixels = images.read(k, Fit.of(model.manifest.input)).transpose(2, 0, 1)[None] / np.float32(255)
        decision = int(model.answer(pixels.astype(np.float32)).scores.argmax())
        right[name] = decision == int(name.split("/")[0])
    return right


def same_rows(text: str) -> list[str]:
    return [line.split()[0] for line in text.splitlines() if line.endswith("same")]


def test_accuracy_pairs_and_lost_images(home, repository):
    clean, night = answers(home, "clean"), answers(home, "night")
    lost = [name for name in clean if clean[name] and not night[name]]
    gained = [name for name in clean if night[name] and not clean[name]]
    assert lost
    report = load_report(home / "model.json")
    assert {image.file: image.shifted for image in report.images} == night
    assert report.rows[0].accuracy == sum(night.values()) / COUNT
    p = min(1.0, 2 * min(sign_test(len(lost), len(gained)), sign_test(len(gained), len(lost))))
    found = f"{len(lost)} images lost, {len(gained)} gained (p = {p:.2g}, exact McNemar test)"
    assert (
        f"on night, {100 * (sum(clean.values()) - sum(night.values())) / COUNT:.1f} points below clean"
        in report.verdict
    )
    for text in ((home / "said.txt").read_text(), report.verdict, (home / "model.html").read_text()):
        assert found in text
    assert f"lost: {', '.join(lost[:10])}" in (home / "said.txt").read_text()
    page = (home / "model.html").read_text()
    assert ", ".join(lost) in page
    assert "<h2>Images that are lost</h2>" in page
    assert f"{round(100 * sum(night.values()) / COUNT)} % of their counterparts in night." in page
    schema = json.loads((repository / "audit" / "report.schema.json").read_text())
    jsonschema.validate(json.loads((home / "model.json").read_text()), schema)
    assert "severity" not in (home / "said.txt").read_text()


def test_the_gate_needs_the_same_shifted_images(home, tmp_path):
    same = inside(main, "check", "model.onnx", cwd=home)
    assert same.returncode == 0, same.stderr + same.stdout
    assert same_rows(same.stdout) == ["clean", "shifted"]
    changed(str(home / "model.onnx"), home / "broken.onnx", with_noise(5))
    worse = inside(main, "check", "broken.onnx", "--baseline=model.json", cwd=home)
    assert worse.returncode == 1
    assert "clean" in worse.stdout
    other = inside(main, "check", "model.onnx", "--shifted=clean", cwd=home)
    assert other.returncode == 2
    assert "the shifted images differ from the baseline's" in other.stderr


def test_the_fixture_of_pytest(home):
    examination = Examiner().audit(home / "model.onnx", home / "clean", shifted=home / "night", limit=0)
    examination.assert_stands("shifted", at_least=0.5)
    with pytest.raises(AssertionError, match=r"accuracy under shifted, .*is under 90.0%(?s:.*)images lost"):
        examination.assert_stands("shifted", at_least=0.9)
    examination.assert_stands("flip", at_least=0.1)
    examination.assert_no_regression(home / "model.json")


def test_two_models_on_two_sets(home):
    sets = ["--data=clean", "--shifted=night", "--limit=30"]
    done = inside(main, "compare", "model.onnx", "model.onnx", *sets, cwd=home)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines() if line.endswith("same")] == [
        "clean",
        "shifted",
    ]
    done = inside(main, "compare", "model.json", "model.onnx", "--shifted=night", cwd=home)
    assert done.returncode == 0, done.stderr


def test_with_the_other_kinds(home):
    shift = ["--data=clean", "--shifted=night", "--protocol=natural", "--attack=jpeg", "--severity=3"]
    done = inside(main, "robustness", "model.onnx", *shift, cwd=home)
    assert done.returncode == 0, done.stderr
    assert "mean accuracy under jpeg" in done.stdout
    assert "images lost" in done.stdout


def test_arrays_are_paired_by_their_order(tmp_path):
    model = small_digits(tmp_path / "model.onnx")
    images = open_images("digits")
    pixels = images.pixels(np.arange(20), Fit(32, 32, 3))
    for name, array, labels in (
        ("a", pixels, images.labels[:20]), ("b", pixels // 60, images.labels[:20]),
        ("c", pixels, images.labels[:20][::-1]),
    ):  # fmt: skip
        np.savez(tmp_path / f"{name}.npz", images=array, labels=labels)
    settings = Settings(data=str(tmp_path / "a.npz"), shifted=str(tmp_path / "b.npz"), limit=12)
    report = robustness(open_model(model), settings).report
    assert report.data.shifted is not None
    assert report.data.shifted.name == "b.npz"
    assert report.data.shifted.source is None  # an absolute path
    with pytest.raises(VivavoceError, match=r"c.npz: its labels are not those of a.npz"):
        paired(open_images(tmp_path / "a.npz"), open_images(tmp_path / "c.npz"))


def test_names_whose_accents_are_composed_differently(tmp_path):
    for folder, name in (("a", "caf\u00e9.png"), ("b", "cafe\u0301.png")):
        (tmp_path / folder / "x").mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(tmp_path / folder / "x" / name)
    assert paired(open_images(tmp_path / "a"), open_images(tmp_path / "b")).shifted is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--data=clean --shifted=fewer", "fewer: 1 of the 60 images of clean are missing, such as 0/"),
        ("--data=clean --shifted=nowhere", "nowhere: no such data set"),
        ("--data=clean --shifted=digits", "only one of them has file names"),
        ("--data=clean --shifted=night --protocol=quick", "give --protocol natural with it, or no protocol"),
        ("--data=clean --shifted=night --epsilon=0.1", "no epsilon"),
        ("--data=clean --shifted=night --resume=state", "leave them out"),
        ("--data=clean --protocol=natural --attack=shifted", "give --shifted"),
        ("--data=clean --shifted=night --severity=2", "shifted has no severity 2; it has 1"),
    ],
)
def test_sets_that_do_not_match_are_one_line(home, arguments, message):
    fewer = home / "fewer"
    if not fewer.exists():
        write(fewer, open_images("digits"), 1)
        next(iter((fewer / "0").iterdir())).unlink()
    done = inside(main, "robustness", "model.onnx", *arguments.split(), cwd=home)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
