"""Every door to documents from outside: whatever is in them, one line says what is wrong."""

import json
import random
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import pytest
from mutations import VALUES, changed, damaged

from vivavoce.artifacts import open_model
from vivavoce.artifacts.foreign import with_settings_file
from vivavoce.artifacts.preprocessing import Preprocessing
from vivavoce.audit import load_report
from vivavoce.audit.gate.comparison import compare_reports
from vivavoce.audit.gate.repeating import settings_of
from vivavoce.audit.gate.table import markdown, text
from vivavoce.audit.writing.table import comma_separated
from vivavoce.audit.writing.table import markdown as as_markdown
from vivavoce.documents import parse_json, parse_toml
from vivavoce.errors import VivavoceError
from vivavoce.study.plan import read_plan
from vivavoce.train.labels.classlist import read_classes
from vivavoce.train.recipes import Recipe, resolve


def knock(path: Path, contents: Iterable[bytes], use: Callable[[Path], object]) -> int:
    """Open a door on every content; return how many were refused."""
    said = []
    for content in contents:
        path.write_bytes(content)
        try:
            use(path)
        except VivavoceError as error:
            said.append(str(error))
    assert [line for line in said if path.name not in line or "\n" in line] == []
    return len(said)


def use_report(path: Path) -> None:
    report = load_report(path)
    settings_of(report)
    try:
        compared = compare_reports(report, report)
    except VivavoceError as error:
        raise VivavoceError(f"{path.name}: {error}") from error  # it knows no file
    assert markdown(compared)
    assert text(compared)
    assert comma_separated(report)
    assert as_markdown(report)


def test_reports(tmp_path):
    whole = open_model("digits-category").path.with_suffix(".json").read_bytes()
    document = json.loads(whole)
    refused = knock(tmp_path / "r.json", damaged(whole, 60), use_report)
    assert refused > 20
    assert knock(tmp_path / "r.json", changed(document, 150), use_report) > 60
    (tmp_path / "r.json").write_bytes(b'{"schema": 1, "model": "\xff"}')
    with pytest.raises(VivavoceError, match=r"r\.json: not a report of an audit"):
        load_report(tmp_path / "r.json")


SETTINGS = 'scale = 255.0\nmean = [0.5, 0.5, 0.5]\nlayout = "nhwc"\nsize = [32, 32]\nclasses = "names.txt"\n'


def test_settings_beside_a_model(tmp_path):
    use = lambda path: with_settings_file(path.with_suffix(".onnx"), Preprocessing())  # noqa: E731
    assert knock(tmp_path / "m.toml", damaged(SETTINGS.encode(), 300), use) > 100


def test_recipes(tmp_path):
    recipe = json.loads(msgspec.json.encode(resolve("fast", True)))
    use = lambda path: resolve(str(path), True, "resnet8")  # noqa: E731
    assert knock(tmp_path / "r.json", damaged(json.dumps(recipe).encode(), 200), use) > 80
    assert knock(tmp_path / "r.json", changed(recipe, 200), use) > 80
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in recipe.items() if value is not None)
    assert knock(tmp_path / "r.toml", damaged(lines.encode(), 200), use) > 80


PLAN = """
recipe = "fast"
figures = ["labels"]
[grid]
dataset = ["digits"]
label = ["speech", "category"]
seed = [0, 1]
[set]
epochs = 3
[[audit]]
protocol = "paper"
epsilon = [0.1]
[budget.smoke]
image_size = 32
[budget.smoke.set]
epochs = 1
"""


def test_plans(tmp_path):
    use = lambda path: read_plan(str(path), "smoke").cells()  # noqa: E731
    path = tmp_path / "plan.toml"
    path.write_text(PLAN, encoding="utf-8")
    assert len(use(path)) == 4
    draw = random.Random(0)
    assert knock(path, damaged(PLAN.encode(), 300), use) > 100
    for _ in range(150):
        lines: list[str] = [str(line) for line in PLAN.splitlines()]
        k = draw.randrange(len(lines))
        lines[k] = f"{lines[k].partition('=')[0]} = {json.dumps(draw.choice(VALUES[1:]))}"
        knock(path, ["\n".join(lines).encode()], use)


def test_class_lists(tmp_path):
    use = lambda path: read_classes(str(path))  # noqa: E731
    assert knock(tmp_path / "c.txt", damaged("crane,the bird\nmaillot\n猫\n".encode(), 300), use) > 20


@pytest.mark.parametrize(
    "content",
    ["[" * 100_000, '{"name":' * 50_000, '{"name": "\\ud800"}', "9" * 5000, "nan", '{"epochs": 1e999}', "\0"],
)
def test_what_json_readers_stumble_over(content):
    with pytest.raises(VivavoceError, match=r"^here: not a recipe \("):
        parse_json(content, Recipe, "here", "a recipe")


@pytest.mark.parametrize("content", ["x = " + "[" * 100_000, "x = " + "9" * 5000, "x = 1\nx = 2", "[a", "\0"])
def test_what_toml_readers_stumble_over(content):
    with pytest.raises(VivavoceError, match=r"^here: not a recipe \("):
        parse_toml(content, "here", "a recipe")
