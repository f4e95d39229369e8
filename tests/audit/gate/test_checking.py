"""Running a baseline's protocol again: the same box, feeding and targets, and other data refused."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from vivavoce.artifacts import Preprocessing, open_model
from vivavoce.audit import Settings, check, compare, resolve, robustness
from vivavoce.audit.gate.repeating import OtherData, audit_again, open_like
from vivavoce.errors import VivavoceError
from vivavoce.images import open_images


def small_model(path, k=4, seed=0, side=4):
    """A classifier of 3 x side x side images, larger by 100 than 0..1 would suggest."""
    weights = np.random.default_rng(seed).normal(0, 0.01, (3 * side * side, k)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", 1, ["N", 3, side, side])],
        [helper.make_tensor_value_info("y", 1, ["N", k])],
        [numpy_helper.from_array(weights, "w")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)
    return path


def small_set(path, n=40, seed=1):
    draw = np.random.default_rng(seed)
    images = draw.integers(0, 256, (n, 4, 4, 3)).astype(np.uint8)
    np.savez(path, images=images, labels=draw.integers(0, 4, n))
    return path


TOLD = Preprocessing(scale=100.0, mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
SETTINGS = Settings(protocol=resolve("paper", epsilons=[0.1], attacks=["fgsm"]), data="d.npz")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small_model(tmp_path / "m.onnx")
    small_set(tmp_path / "d.npz")
    (tmp_path / "names.txt").write_text("a\nb\nc\nd\n")
    return tmp_path


def baseline(folder, told=TOLD, settings=SETTINGS):
    report = robustness(open_model(folder / "m.onnx", told), settings).report
    (folder / "b.json").write_bytes(report.to_json())
    return report


def test_a_file_that_says_nothing_is_fed_as_its_baseline_was(folder):
    report = baseline(folder)
    assert report.model.preprocessing == TOLD
    assert check("m.onnx", "b.json").comparison.agreement == 1
    assert open_like("m.onnx", report).manifest.input == report.model.manifest.input


def test_settings_beside_the_new_file_count_more_than_the_baselines(folder):
    report = baseline(folder)
    (folder / "m.toml").write_text("scale = 1.0\n")
    opened = open_like("m.onnx", report)
    assert opened.manifest.input.std == (1.0, 1.0, 1.0)


def test_another_normalisation_is_attacked_in_the_box_of_the_baseline(folder):
    report = baseline(folder)
    other = open_model("m.onnx", Preprocessing(scale=100.0, std=(2.0, 2.0, 2.0)))
    later = audit_again(other, report).report
    assert later.rows[0].epsilon_pixels == pytest.approx(report.rows[0].epsilon_pixels)
    assert later.rows[0].epsilon_pixels != pytest.approx((0.1 * 2 / 100,) * 3)


def test_class_names_of_the_baseline_are_the_new_files(folder):
    report = baseline(folder, Preprocessing(scale=100.0, classes="names.txt"))
    assert report.model.manifest.classes == ("a", "b", "c", "d")
    assert report.model.preprocessing == Preprocessing(scale=100.0)
    checked = check("m.onnx", "b.json")
    assert checked.audit.report.model.manifest.classes == ("a", "b", "c", "d")


def test_data_are_found_beside_the_baseline(folder, tmp_path_factory, monkeypatch):
    baseline(folder)
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert check(folder / "m.onnx", folder / "b.json").comparison.passed


def test_other_data_are_refused_before_any_attack(folder):
    report = baseline(folder)
    told = []
    small_set(folder / "d.npz", seed=2)
    with pytest.raises(OtherData, match="the images or labels differ from the baseline's"):
        audit_again(open_like("m.onnx", report), report, progress=lambda *a: told.append(a))
    small_set(folder / "d.npz", n=39)
    with pytest.raises(OtherData, match="39 images, but the baseline's data had 40"):
        audit_again(open_like("m.onnx", report), report, progress=lambda *a: told.append(a))
    assert not told


def test_data_at_an_absolute_path_must_be_given_again(folder):
    baseline(folder, settings=Settings(protocol=SETTINGS.protocol, data=str(folder / "d.npz")))
    assert str(folder) not in (folder / "b.json").read_text()
    with pytest.raises(VivavoceError, match="give --data"):
        check("m.onnx", "b.json")
    assert check("m.onnx", "b.json", data="d.npz").comparison.passed


def test_another_size_of_image_or_number_of_classes_is_refused(folder):
    report = baseline(folder)
    small_model(folder / "k.onnx", k=5)
    with pytest.raises(VivavoceError, match="5 classes instead of 4"):
        audit_again(open_like("k.onnx", report), report)
    small_model(folder / "s.onnx", side=5)
    with pytest.raises(OtherData, match="takes a different input from the baseline's model"):
        audit_again(open_like("s.onnx", report), report)


def test_targets_that_the_user_chose_are_chosen_again(folder):
    labels = open_images("d.npz").labels
    lines = "".join(f"{i},{(labels[i] + 1) % 4}\n" for i in range(40))
    (folder / "t.csv").write_text("file,target\n" + lines)
    protocol = resolve("paper", epsilons=[0.1], attacks=["fgsm"], targeted=True)
    report = baseline(folder, settings=Settings(protocol=protocol, data="d.npz", targets=folder / "t.csv"))
    assert [i.target for i in report.images] == [(i.label + 1) % 4 for i in report.images]
    comparison = check("m.onnx", "b.json").comparison
    assert comparison.passed
    assert {row.result for row in comparison.rows} == {"same"}


def test_models_and_reports_are_compared_in_any_mixture(folder):
    small_model(folder / "n.onnx", seed=5)
    settings = Settings(protocol=SETTINGS.protocol, data="d.npz")
    one, two = (open_model(name, TOLD) for name in ("m.onnx", "n.onnx"))
    first = robustness(one, settings).report
    whole = compare(one, two, settings)
    assert compare(first, two, Settings(data="d.npz")).rows == whole.rows
    assert compare(first, audit_again(two, first).report).rows == whole.rows
    turned = compare(two, first, Settings(data="d.npz"))
    assert [(r.lost, r.gained) for r in turned.rows] == [(r.gained, r.lost) for r in whole.rows]


def test_progress_is_told_and_nothing_is_printed(folder, capsys):
    baseline(folder)
    told = []
    check("m.onnx", "b.json", progress=lambda what, done, steps: told.append((done, steps)))
    assert (80, 80) in told
    assert capsys.readouterr() == ("", "")
