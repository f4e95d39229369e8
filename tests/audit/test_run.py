"""Whole audits: ensembles, targets from a file, and sets and models at the edge."""

import msgspec
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from vivavoce.artifacts import open_model
from vivavoce.audit.plan import Settings
from vivavoce.audit.protocol import PROTOCOLS, resolve
from vivavoce.audit.run import robustness
from vivavoce.audit.target import Target
from vivavoce.errors import VivavoceError
from vivavoce.images import open_images

QUICK = resolve("quick", epsilons=[0.06])


def audit(model, protocol=QUICK, limit=20, **changes):
    return robustness(open_model(model), Settings(protocol=protocol, limit=limit, **changes)).report


def save_set(path, images, labels):
    np.savez(path, images=images, labels=np.asarray(labels))
    return str(path)


def linear_model(path, k, weights=None):
    """A classifier of 4x4 images with k classes."""
    weights = np.random.default_rng(0).normal(0, 1, (48, k)) if weights is None else weights
    graph = helper.make_graph(
        [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", 1, ["N", 3, 4, 4])],
        [helper.make_tensor_value_info("y", 1, ["N", k])],
        [numpy_helper.from_array(weights.astype(np.float32), "w")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)
    return path


def noise_set(path, labels):
    images = np.random.default_rng(1).integers(0, 256, (len(labels), 4, 4, 3)).astype(np.uint8)
    return save_set(path, images, labels)


def test_each_attack_of_an_ensemble_sees_only_the_survivors(small):
    report = audit(small)
    pgd, square = report.rows
    assert pgd.accuracy >= square.accuracy
    assert square.queries <= 301 * 20 * pgd.accuracy + 40
    assert report.verdict.startswith(f"robust accuracy {square.accuracy:.1%}")


def test_epsilon_zero_is_exactly_the_clean_accuracy(small):
    for name in ("quick", "paper"):
        report = audit(small, resolve(name, epsilons=[0.0]))
        assert {row.accuracy for row in report.rows} == {report.clean.accuracy}


def test_as_released_stands_beside_and_does_not_count():
    report = audit("digits-speech", resolve("paper", epsilons=[0.2], as_released=True))
    names = [row.attack for row in report.rows]
    assert {"fgsm", "iterative", "fgsm-released", "iterative-released"} == set(names)
    assert "released" not in report.verdict
    with pytest.raises(VivavoceError, match="--as-released"):
        resolve("quick", as_released=True)


def test_targets_from_a_file(small, tmp_path):
    labels = open_images("digits").labels
    lines = [f"{i},{(labels[i] + 3) % 10}" for i in range(360)]
    (tmp_path / "t.csv").write_text("file,target\n" + "\n".join(lines) + "\n")
    protocol = resolve("paper", epsilons=[0.3], attacks=["iterative"], targeted=True)
    report = audit(small, protocol, targets=tmp_path / "t.csv")
    (row,) = report.rows
    assert row.targeted
    assert row.target_reached is not None
    assert row.target_reached > 0.05


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "file,target"),
        ("a,b\n1,2\n", "file,target"),
        ("file,target\n0,1\n", "no target for"),
        ("file,target\n" + "\n".join(f"{i},99" for i in range(360)), "'99' is not a class"),
    ],
)
def test_targets_that_do_not_fit(text, message, small, tmp_path):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(VivavoceError, match=message):
        audit(small, targets=tmp_path / "t.csv")


@pytest.mark.parametrize("k", [2, 3, 4])
def test_few_classes(k, tmp_path):
    path = linear_model(tmp_path / "m.onnx", k)
    data = noise_set(tmp_path / "d.npz", np.arange(12) % k)
    report = audit(path, resolve("standard", attacks=["apgd-ce", "apgd-t"], epsilons=[0.1]), data=data)
    assert 0 <= report.rows[-1].accuracy <= report.clean.accuracy
    assert bool(report.notes) == (k < 4)


def test_one_image_of_one_class(tmp_path):
    path = linear_model(tmp_path / "m.onnx", 4)
    report = audit(path, data=noise_set(tmp_path / "d.npz", [2]))
    assert report.data.n == 1
    assert report.clean.interval[1] - report.clean.interval[0] > 0.5


def test_an_epsilon_as_large_as_the_range_leaves_nothing(small):
    report = audit(small, resolve("quick", epsilons=[1.0]))
    assert report.rows[-1].accuracy <= 0.1
    assert report.rows[-1].max_perturbation <= 1


def test_weights_that_are_not_numbers_decide_for_no_class(tmp_path):
    path = linear_model(tmp_path / "m.onnx", 4, np.full((48, 4), np.nan))
    report = audit(path, data=noise_set(tmp_path / "d.npz", np.arange(8) % 4))
    assert report.clean.accuracy == 0
    assert "suspicious" in report.verdict


def test_what_is_left_of_a_protocol_without_a_gradient(monkeypatch):
    monkeypatch.setattr(Target, "gradient_missing", "Round has none")
    target = Target(open_model("digits-speech"))
    for name in ("standard", "fast"):
        assert resolve(name).fitted(target).attacks == ("square",)
    assert resolve("paper").fitted(target).attacks == ("square-300",)


@pytest.mark.parametrize("model", ["digits-speech", "digits-category"])
@pytest.mark.parametrize("attacks", [("fgsm", "iterative"), ("iterative",), ("fgsm", "margin"), ("noise",)])
def test_attacks_chosen_by_name_come_alone(model, attacks):
    protocol = resolve("paper", attacks=attacks).fitted(Target(open_model(model)))
    assert protocol.attacks == attacks
    assert protocol.fitted(Target(open_model(model))).attacks == attacks


def test_only_label_models_meet_the_margin_beside_the_papers_attacks():
    labels, logits = (Target(open_model(name)) for name in ("digits-speech", "digits-category"))
    paper = PROTOCOLS["paper"].attacks
    for epsilons in ((), (0.2,)):
        protocol = resolve("paper", epsilons=epsilons)
        assert protocol.fitted(labels).attacks == (*paper, "margin")
        assert protocol.fitted(logits).attacks == paper
    for name in ("standard", "fast", "quick"):
        assert resolve(name).fitted(labels).attacks == PROTOCOLS[name].attacks


def test_an_attack_of_another_version_is_refused_where_it_would_run():
    strange = msgspec.structs.replace(PROTOCOLS["quick"], attacks=("pgd", "newest"))
    with pytest.raises(VivavoceError, match="no attack 'newest'"):
        strange.fitted(Target(open_model("digits-category")))


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_both_norms_stay_in_their_ball(norm, small):
    report = audit(small, resolve("quick", norm=norm, epsilons=[0.05 if norm == "linf" else 1.0]))
    for row in report.rows:
        assert row.max_perturbation <= max(row.epsilon_pixels) * (1 + 1e-5) + 1e-6


def test_the_papers_attacks_have_no_l2():
    with pytest.raises(VivavoceError, match="--protocol standard"):
        resolve("paper", norm="l2")


def test_references_to_compare_the_attacks_with(small):
    report = audit(small, limit=6, references=True)
    by_name = {b.name: b for b in report.references}
    assert len(by_name) == 2
    noise = by_name["random noise in the ball"]
    assert noise.accuracy is not None
    assert noise.accuracy >= report.rows[-1].accuracy
    smallest = by_name["smallest perturbation (FAB)"]
    assert smallest.median_size is not None
    assert 0.005 < smallest.median_size < 0.5
