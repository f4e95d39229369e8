"""The protocol `natural` from the command line to the report, the gate and pytest's fixture."""

import csv
import io
import json

import jsonschema
import msgspec
import numpy as np
import onnx
import pytest
from breaking import changed, with_noise
from commands import inside
from onnx import TensorProto, helper, numpy_helper
from small import small_digits

from vivavoce.artifacts import open_model
from vivavoce.audit.cli import main
from vivavoce.audit.gate.comparison import compare_reports
from vivavoce.audit.gate.repeating import audit_again
from vivavoce.audit.natural.heat import Mean, lines, mean_accuracy
from vivavoce.audit.natural.kinds import CORRUPTIONS, KINDS
from vivavoce.audit.plan import Settings
from vivavoce.audit.protocol import resolve
from vivavoce.audit.pytest_plugin import Examiner
from vivavoce.audit.report import load_report, pack_bits, unpack_bits
from vivavoce.audit.run import robustness
from vivavoce.audit.statistics import wilson
from vivavoce.errors import VivavoceError

FEW = ["fog", "jpeg", "rotation", "rotation-worst", "flip", "contrast", "resize-nearest"]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A model, its baseline under a few kinds, and all outputs."""
    home = tmp_path_factory.mktemp("natural")
    small_digits(home / "model.onnx")
    outputs = [f"--output=model{suffix}" for suffix in (".json", ".html", ".md", ".csv", ".xml", ".png")]
    kinds = [f"--attack={kind}" for kind in FEW]
    done = inside(
        main, "robustness", "model.onnx", "--protocol=natural", "--limit=40", *kinds, *outputs, cwd=home
    )
    assert done.returncode == 0, done.stderr
    (home / "said.txt").write_text(done.stdout)
    return home


@pytest.fixture(scope="module")
def report(home):
    return load_report(home / "model.json")


def test_a_row_for_each_kind_and_severity(home, report, repository):
    found = {line.kind: sorted(line.rows) for line in lines(report.rows)}
    assert found == {kind: list(KINDS[kind].severities) for kind in FEW}
    schema = json.loads((repository / "audit" / "report.schema.json").read_text())
    jsonschema.validate(json.loads((home / "model.json").read_text()), schema)
    assert all(row.accuracy == np.mean(unpack_bits(row.survivors, 40)) for row in report.rows)
    assert [check.name for check in report.diagnosis] == [
        "scores that are not finite", "random answers", "batch-dependent answers", "misread model",
    ]  # fmt: skip


def test_accuracy_is_of_the_changed_images(report, home):
    """As published: an image that only the change makes right counts as right."""
    model = open_model(home / "model.onnx")
    clean = np.array([image.clean == image.label for image in report.images])
    flips = unpack_bits(next(row for row in report.rows if row.attack == "flip").survivors, 40)
    from vivavoce.images import Fit, open_images
    from vivavoce.images.imageset import to_float

    images = open_images("digits")
    indices = np.array([image.index for image in report.images])
    pixels = to_float(images.pixels(indices, Fit.of(model.manifest.input)))[..., ::-1]
    decisions = model.answer(np.ascontiguousarray(pixels)).scores.argmax(1)
    np.testing.assert_array_equal(flips, decisions == images.labels[indices])
    same = next(row for row in report.rows if row.attack == "resize-nearest")
    np.testing.assert_array_equal(unpack_bits(same.survivors, 40), clean)  # the digits have the model's size


def test_the_interval_of_the_mean(report):
    """Of one row it is Wilson's. Of several it covers, and is wide where all images agree."""
    fog = [row for row in report.rows if row.attack == "fog"]
    assert mean_accuracy(fog[:1], 40).interval == pytest.approx(fog[0].interval)

    def mean(right: np.ndarray) -> Mean:
        rows = [msgspec.structs.replace(r, survivors=pack_bits(k)) for r, k in zip(fog, right, strict=True)]
        return mean_accuracy(rows, right.shape[1])

    rng = np.random.default_rng(1)
    hard = rng.uniform(size=(500, 1, 40)) + rng.normal(0, 0.3, (500, 5, 40))
    found = [mean(one < 0.7) for one in hard]
    truth = float((hard < 0.7).mean())
    assert 0.93 <= np.mean([one.interval[0] <= truth <= one.interval[1] for one in found]) <= 0.98
    assert mean(np.ones((5, 40), bool)).interval == pytest.approx(wilson(40, 40))
    assert mean(np.ones((5, 1), bool)).interval == pytest.approx(wilson(1, 1))


def test_worst_is_never_better_than_clean(report):
    clean = np.array([image.clean == image.label for image in report.images])
    before = clean
    for row in (row for row in report.rows if row.attack == "rotation-worst"):
        assert (unpack_bits(row.survivors, 40) <= before).all()
        before = unpack_bits(row.survivors, 40)


def test_outputs_show_kinds_and_severities(home, report):
    said = (home / "said.txt").read_text()
    fog = next(line for line in lines(report.rows) if line.kind == "fog")
    cells = [f"{100 * row.accuracy:.1f}" for row in fog.rows.values()]
    line = next(line for line in said.splitlines() if line.strip().startswith("fog"))
    assert line.split() == ["fog", *cells, f"{100 * fog.mean:.1f}"]
    assert said.splitlines()[-1] == report.verdict
    assert "points below the clean images; lowest: " in report.verdict
    assert f"| fog | {' | '.join(cells)} | {100 * fog.mean:.1f} |" in (home / "model.md").read_text()
    page = (home / "model.html").read_text()
    assert all(f"<td>{kind}</td>" in page for kind in FEW)
    assert 3 <= page.count('<section class="example">') <= 6
    rows = list(csv.DictReader(io.StringIO((home / "model.csv").read_text())))
    assert [(row["attack"], float(row["epsilon"])) for row in rows] == [
        (r.attack, r.epsilon) for r in report.rows
    ]
    assert "fog, severity 3" in (home / "model.xml").read_text()
    assert "epsilon" not in (home / "model.xml").read_text() + said + (home / "model.md").read_text()


def test_batches_and_seeds(home):
    kinds = ["impulse-noise", "rotation", "shear-worst"]

    def survivors(batch_size, seed=0):
        settings = Settings(protocol=resolve("natural", kinds, severities=[4]), limit=20, seed=seed)
        model = open_model(home / "model.onnx")
        found = robustness(model, Settings(**{**settings.__dict__, "batch_size": batch_size})).report
        return [row.survivors for row in found.rows], [row.mean_perturbation for row in found.rows]

    assert survivors(3) == survivors(20)
    assert survivors(20, seed=1)[1] != survivors(20)[1]


def test_the_gate_compares_kinds(home, report):
    changed(str(home / "model.onnx"), home / "broken.onnx", with_noise(3))
    later = audit_again(open_model(home / "broken.onnx"), report).report
    comparison = compare_reports(report, later)
    assert [row.name for row in comparison.rows] == ["clean", "natural", *FEW]
    assert not comparison.passed
    mean = {line.kind: line.mean for line in lines(report.rows)}
    for row in comparison.rows[2:]:
        assert row.before == pytest.approx(mean[row.name])
    assert comparison.rows[1].before == pytest.approx(mean_accuracy(report.rows, 40).accuracy)
    same = compare_reports(report, audit_again(open_model(home / "model.onnx"), report).report)
    assert same.passed
    assert all(row.result == "same" for row in same.rows)
    done = inside(main, "check", "broken.onnx", "--baseline=model.json", "-o", "check.png", cwd=home)
    assert done.returncode == 1
    assert "regression: " in done.stdout


@pytest.mark.parametrize(
    "edit",
    [
        {"attacks": ["pgd"]},
        {"attacks": ["fog", "pgd"]},
        {"epsilon_space": "pixel"},
        {"ensemble": True},
        {"targeted": [True]},
        {"epsilons": [7.0]},
    ],
    ids=str,
)
def test_a_baseline_that_was_edited_is_refused(home, tmp_path, edit):
    content = json.loads((home / "model.json").read_text())
    content["protocol"] |= edit
    rows = [] if edit in ({"attacks": ["pgd"]}, {"epsilons": [7.0]}) else content["rows"]
    (tmp_path / "edited.json").write_text(json.dumps(content | {"rows": rows}))
    for command in (["show"], ["check", str(home / "model.onnx"), "--baseline"]):
        done = inside(main, *command, str(tmp_path / "edited.json"), cwd=home)
        assert done.returncode == 2, done.stderr
        assert "damaged or was edited" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_all_fifteen_make_the_published_mean():
    from vivavoce.audit.protocol import PROTOCOLS

    protocol = PROTOCOLS["natural"]
    assert sum(1 for _ in protocol.grid()) == sum(len(kind.severities) for kind in KINDS.values())
    assert set(CORRUPTIONS) < set(protocol.attacks)


def test_the_fixture_of_pytest(home):
    examination = Examiner().audit(home / "model.onnx", limit=40)
    examination.assert_stands("jpeg", severity=3, at_least=0.8)
    examination.assert_stands("resize-bicubic", at_least=0.8)
    with pytest.raises(
        AssertionError, match=r"accuracy under fog, severity 5, .* is under 90.0%(?s:.*)fog +\d"
    ):
        examination.assert_stands("fog", severity=5, at_least=0.9)
    with pytest.raises(VivavoceError, match="no severity 6"):
        examination.assert_stands("fog", severity=6, at_least=0.9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--protocol natural --severity 6", "no severity 6; they go from 1 (mild) to 5 (severe)"),
        ("--protocol natural --severity 0", "no severity 0; they go from 1 (mild) to 5 (severe)"),
        ("--protocol natural --severity x", "--severity must be a number from 1 to 5"),
        ("--protocol natural --severity 1,", "--severity must be a number from 1 to 5"),
        ("--protocol natural --attack flip --severity 2", "flip has no severity 2; it has 1"),
        (
            "--protocol natural --attack rotation --severity 1,3",
            "rotation has no severity 1, 3; it has 2, 4",
        ),
        ("--protocol natural --attack pgd", "pgd is not a change of --protocol natural"),
        ("--protocol natural --attack jpg", "did you mean jpeg"),
        ("--protocol natural --epsilon 3", "no epsilon"),
        ("--protocol natural --norm l2", "no epsilon"),
        ("--protocol natural --references", "need attacks"),
        ("--protocol quick --attack jpeg", "give --protocol natural"),
        ("--protocol quick --severity 3", "--severity needs --protocol natural"),
    ],
)
def test_what_makes_no_sense_is_one_line(home, arguments, message):
    done = inside(main, "robustness", "model.onnx", "--limit=5", *arguments.split(), cwd=home)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_grey_and_tiny_models(tmp_path):
    """A model of grey 6 x 9 pixels takes every kind."""
    weight = np.random.default_rng(0).normal(size=(54, 3)).astype(np.float32)
    nodes = [helper.make_node("Flatten", ["x"], ["flat"]), helper.make_node("MatMul", ["flat", "w"], ["y"])]
    graph = helper.make_graph(
        nodes, "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 1, 6, 9])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3])],
        [numpy_helper.from_array(weight, "w")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, tmp_path / "tiny.onnx")
    rng = np.random.default_rng(1)
    np.savez(
        tmp_path / "data.npz", images=rng.integers(0, 256, (4, 20, 30, 3), np.uint8), labels=np.arange(4) % 3
    )
    settings = Settings(protocol=resolve("natural"), data=str(tmp_path / "data.npz"))
    found = robustness(open_model(tmp_path / "tiny.onnx"), settings).report
    assert [line.kind for line in lines(found.rows)] == list(KINDS)
    assert "mean corruption accuracy (15 kinds)" in found.verdict
    read_again = {row.attack: row.max_perturbation for row in found.rows if row.attack.startswith("resize-")}
    assert len(read_again) == 3
    assert min(read_again.values()) > 0.02  # the files are larger than the model's input
