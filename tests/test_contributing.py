"""The recipes of "How to add" in CONTRIBUTING.md, each followed with a toy: one module, one line."""

import re
import sys
from types import ModuleType
from typing import get_type_hints

import msgspec
import numpy as np
import onnx
import pytest
from onnx import helper
from typer.testing import CliRunner

from vivavoce.artifacts import LabelBank, open_model
from vivavoce.audit.attacks import catalogue
from vivavoce.audit.attacks.base import Attack
from vivavoce.audit.cli import app
from vivavoce.audit.natural.change import Change
from vivavoce.audit.natural.kinds import KINDS
from vivavoce.audit.writing import outputs
from vivavoce.errors import VivavoceError
from vivavoce.gradient import InputGradient, UnsupportedOperator
from vivavoce.gradient.rules.registry import RULES, rule

TESTS = {
    "an objective": "test_an_objective",
    "a label kind": "test_a_label_kind",
    "an operator rule": "test_an_operator_rule",
    "an attack": "test_an_attack",
    "a kind of change": "test_a_kind_of_change",
    "an explanation method": "test_an_explanation_method",
    "an output": "test_an_output",
    "a figure of a study": "test_a_figure_of_a_study",
}
"""What a recipe adds -> the test that follows it."""


@pytest.fixture
def recipes(repository) -> dict[str, str]:
    """What is added -> its bullet."""
    section = (repository / "CONTRIBUTING.md").read_text(encoding="utf-8").split("\n## How to add\n")[1]
    bullets = re.split(r"^- ", section.split("\n## ")[0], flags=re.MULTILINE)[1:]
    return {re.match(r"\*\*(.+?)\*\*", bullet)[1]: bullet for bullet in bullets}  # type: ignore[index]


@pytest.fixture
def add_module(monkeypatch):
    """Put a module with these members where a file of that name would be."""

    def add(name: str, **members) -> None:
        module = ModuleType(f"vivavoce.{name}")
        module.__dict__.update(members)
        monkeypatch.setitem(sys.modules, module.__name__, module)

    return add


def test_every_recipe_has_a_test_and_names_files_that_exist(recipes, repository):
    assert set(recipes) == set(TESTS)
    assert all(name in globals() for name in TESTS.values())
    for bullet in recipes.values():
        paths = re.findall(r"`([a-z_]+/[\w./]*)`", bullet)
        assert paths
        assert [path for path in paths if not (repository / path).exists()] == []


def test_an_objective(add_module, monkeypatch, tmp_path):
    from short_runs import CPU, few_digits, silent
    from torch.nn import functional as F

    from vivavoce.train.learned.registry import OBJECTIVES, LearnedObjective
    from vivavoce.train.learned.setting_up import default_label
    from vivavoce.train.learned.settings import ObjectiveSettings, resolve_settings
    from vivavoce.train.loop import Trainer
    from vivavoce.train.objectives import Objective
    from vivavoce.train.recipes import resolve
    from vivavoce.train.run import begin
    from vivavoce.train.setup import Choices, configure

    seen = []

    class Toy(Objective):
        def forward(self, output, classes, moment=None):
            seen.append(moment)
            return 2 * F.cross_entropy(output, classes)

    add_module("train.learned.toy", build=lambda request: Toy())
    with pytest.raises(VivavoceError, match="toy"):
        resolve_settings(10, "toy")
    monkeypatch.setitem(OBJECTIVES, "toy", LearnedObjective("twice the cross-entropy", "toy"))
    settings = resolve_settings(10, "toy")
    assert settings == ObjectiveSettings("toy")
    splits, label = few_digits(20, 20), default_label("toy", None, None)
    recipe = resolve("adaptive", False, "resnet8", {"epochs": 1, "batch_size": 20})
    config = configure(Choices("digits", label), recipe, splits, None, settings)
    assert msgspec.json.decode(msgspec.json.encode(config), type=type(config)) == config
    begin(tmp_path, config, None, False)
    trainer = Trainer(config, None, splits, tmp_path, CPU)
    before = [p.detach().clone() for p in trainer.model.parameters()]
    assert trainer.train(silent, silent) is not None
    assert trainer.history[0].train_loss == pytest.approx(2 * np.log(10), rel=0.5)
    assert [moment.step for moment in seen if moment] == [0]
    assert any((a != b).any() for a, b in zip(before, trainer.model.parameters(), strict=True))


def test_the_options_of_train_list_every_objective():
    from vivavoce.train.cli import train
    from vivavoce.train.learned.registry import OBJECTIVES

    (option,) = get_type_hints(train, include_extras=True)["objective"].__metadata__
    assert all(f"{name}, {objective.summary}" in option.help for name, objective in OBJECTIVES.items())


def test_a_label_kind(add_module, monkeypatch):
    from vivavoce.train.labels.kinds import KINDS, Kind, build

    def make(request):
        return LabelBank("toy", np.eye(len(request.classes), dtype=np.float32), request.classes)

    add_module("train.labels.toy", build=make)
    with pytest.raises(VivavoceError, match="toy"):
        build("toy", ["a", "b"])
    monkeypatch.setitem(KINDS, "toy", Kind("rows of the identity", "toy"))  # type: ignore[arg-type]
    bank = build("toy", ["a", "b"])
    assert bank is not None
    assert bank.labels.tolist() == [[1, 0], [0, 1]]


def test_an_operator_rule(monkeypatch):
    graph = helper.make_graph(
        [
            helper.make_node("Inverse", ["image"], ["inverse"], domain="com.microsoft"),
            helper.make_node("Flatten", ["inverse"], ["scores"]),
        ],
        "toy",
        [helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, [1, 1, 2, 2])],
        [helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, [1, 4])],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    with pytest.raises(UnsupportedOperator, match=r"com\.microsoft\.Inverse"):
        InputGradient(model, "margin")
    monkeypatch.setitem(RULES, ("com.microsoft", "Inverse"), None)  # so that the rule goes after the test
    del RULES["com.microsoft", "Inverse"]

    @rule("Inverse", domain="com.microsoft")
    def inverse(node, dy):
        """Y = X^-1; dX = -Y^T dY Y^T."""
        return -(node.y.mT @ dy @ node.y.mT)

    image = np.array([[[[2, 1], [1, 3]]]], np.float32)
    loss, gradient, _ = InputGradient(model, "margin")(image, np.array([1]))

    def margin(x):
        scores = np.linalg.inv(x).ravel()
        return np.delete(scores, 1).max() - scores[1]

    steps = 1e-5 * np.eye(4).reshape(4, 2, 2)
    x = image[0, 0].astype(float)
    slopes = [(margin(x + step) - margin(x - step)) / 2e-5 for step in steps]
    assert loss == pytest.approx([margin(x)], rel=1e-5)
    assert gradient.ravel() == pytest.approx(slopes, rel=1e-4)


class Dark(Attack):
    """All pixels 0, wherever the ball ends."""

    name = "dark"
    needs_gradient = False
    takes_target = False

    def sweep(self, target, images, goal, balls, streams):
        for _ in balls:
            yield np.zeros_like(images)


def run_audit(*arguments):
    return CliRunner().invoke(app, ["robustness", "digits-category", "--limit", "10", *map(str, arguments)])


def test_an_attack(monkeypatch, tmp_path):
    wanted = (
        "--attack",
        "dark",
        "--epsilon",
        1.0,
        "--epsilon-space",
        "pixel",
        "--output",
        tmp_path / "r.json",
    )
    refused = run_audit(*wanted).exception
    assert isinstance(refused, VivavoceError)
    assert "dark" in str(refused)
    monkeypatch.setitem(catalogue.ATTACKS, "dark", Dark())
    assert run_audit(*wanted).exit_code == 0
    (row,) = msgspec.json.decode((tmp_path / "r.json").read_bytes())["rows"]
    model = open_model("digits-category")
    size = model.manifest.input
    black = model.answer(np.zeros((1, size.channels, size.height, size.width), np.float32))
    labels = [image["label"] for image in msgspec.json.decode((tmp_path / "r.json").read_bytes())["images"]]
    right = np.mean(np.array(labels) == int(black.scores.argmax()))
    assert row["attack"] == "dark"
    assert row["accuracy"] <= right
    assert row["max_perturbation"] == pytest.approx(1.0, abs=0.01)


def test_a_kind_of_change(monkeypatch, tmp_path):
    def vignette(image, share, draws):
        return image * (1 - share * draws.uniform())

    kind = Change("vignette", vignette, {2: (0.2,), 4: (0.6,)})
    monkeypatch.setitem(KINDS, "vignette", kind)
    monkeypatch.setitem(catalogue.ATTACKS, "vignette", kind)
    command = ["robustness", "digits-category", "--limit=4", "--protocol=natural", "--attack=vignette"]
    result = CliRunner().invoke(app, [*command, f"--output={tmp_path / 'report.csv'}"])
    assert result.exit_code == 0, result.output
    assert "mean accuracy under vignette" in result.output
    assert (tmp_path / "report.csv").read_text().count("\nnatural,vignette,") == 2


def test_every_kind_of_change_is_in_the_docs(repository):
    docs = (repository / "docs" / "audit.md").read_text(encoding="utf-8")
    listed = docs.split("### Two sets")[0].split("## Changes without an attacker")[1]
    named = {name for name in KINDS if not name.endswith("-worst")}
    assert named <= set(re.findall(r"`([a-z-]+)`", listed))


def test_an_explanation_method(monkeypatch, tmp_path):
    from PIL import Image

    from vivavoce.audit.explaining import methods

    def squared(subject, images, classes):
        return subject.gradient(images, classes)[1] ** 2

    Image.new("RGB", (32, 32), "grey").save(tmp_path / "a.png")
    wanted = ["explain", "digits-category", str(tmp_path / "a.png"), "--method", "squared"]
    wanted += ["-o", str(tmp_path / "a.npz")]
    refused = CliRunner().invoke(app, wanted).exception
    assert "no method 'squared'" in str(refused)
    toy = methods.Method(
        "squared", "squared gradient",
        lambda s, x, c, o: methods.Found(squared(s, x, c)), "gradient", False,
    )  # fmt: skip
    monkeypatch.setitem(methods.METHODS, "squared", toy)
    done = CliRunner().invoke(app, wanted)
    assert done.exit_code == 0
    assert "squared gradient" in done.output
    with np.load(tmp_path / "a.npz") as found:
        assert found["attribution_squared"].min() >= 0
        assert found["heat"].any()


def test_the_options_and_the_docs_of_explain_list_every_method(repository):
    from vivavoce.audit.explaining.cli import explain
    from vivavoce.audit.explaining.methods import METHODS

    (option,) = get_type_hints(explain, include_extras=True)["method"].__metadata__
    page = (repository / "docs/explain.md").read_text(encoding="utf-8")
    assert all(name in option.help and f"| `{name}` |" in page for name in METHODS)


def test_an_output(monkeypatch, tmp_path):
    path = tmp_path / "report.toy"
    wanted = ("--attack", "noise", "--epsilon", 0.1, "--output", path)
    assert "unknown output format" in str(run_audit(*wanted).exception)

    def toy(audit, kind):
        return f"{kind}: {audit.report.data.n}".encode()

    monkeypatch.setitem(outputs.WRITERS, ".toy", toy)
    assert run_audit(*wanted).exit_code == 0
    assert path.read_text() == "toy: 10"


def test_a_figure_of_a_study(add_module, monkeypatch, tmp_path):
    from PIL import Image

    from vivavoce.study.cell import Result
    from vivavoce.study.figures.registry import FIGURES, Figure, draw
    from vivavoce.study.plan import Grid, Plan
    from vivavoce.study.records import open_study

    plan = Plan(name="toy", title="Toy", grid=Grid(("digits",), seed=(1,), label=("category",)))
    (tmp_path / "study.json").write_bytes(msgspec.json.encode(plan))
    (cell,) = open_study(tmp_path).records
    cell.folder.mkdir(parents=True)
    (cell.folder / "result.json").write_bytes(msgspec.json.encode(Result({"test": 0.5}, 1, 1, 1.0, "here")))

    def toy(records, style):
        from matplotlib.figure import Figure as Drawing

        drawing = Drawing(figsize=(2, 1), facecolor=style.paper)
        drawing.add_subplot().plot([0, 1], [0, len(records.finished)], color=style.ink)
        return drawing

    add_module("study.figures.toy", draw=toy)
    records, path = open_study(tmp_path), tmp_path / "toy.png"
    with pytest.raises(VivavoceError, match="toy"):
        draw("toy", records, path)
    monkeypatch.setitem(FIGURES, "toy", Figure("a line", "toy"))  # type: ignore[arg-type]
    draw("toy", records, path)
    with Image.open(path) as picture:
        assert len(np.unique(np.asarray(picture.convert("L")))) > 10
