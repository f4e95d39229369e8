"""The search for the preprocessing that a model was trained with."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from commands import inside
from onnx import helper, numpy_helper
from PIL import Image

from vivavoce.artifacts import Preprocessing, open_model
from vivavoce.audit.cli import main
from vivavoce.audit.preprocessing_search import search
from vivavoce.images import Fit, open_images


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    """Ten images a digit, in folders of two kinds of names: w0 to w9, and item1 to item10."""
    digits = open_images("digits")
    made = {}
    for kind, first in (("w", 0), ("item", 1)):
        made[kind] = tmp_path_factory.mktemp(kind)
        for k in range(10):
            (made[kind] / f"{kind}{k + first}").mkdir()
            for n, index in enumerate(np.flatnonzero(digits.labels == k)[:10]):
                image = Image.fromarray(digits.read(int(index), Fit(32, 32)))
                image.save(made[kind] / f"{kind}{k + first}" / f"{n}.png")
    return made


def variant(small: Path, path: Path, mean=(0, 0, 0), std=(1, 1, 1), scale=1.0, channels=(0, 1, 2)) -> Path:
    """The small classifier without a manifest, behind the inverse of a preprocessing."""
    model = onnx.load(small)
    del model.metadata_props[:]
    graph = model.graph
    column = {"std": std, "mean": mean, "unscale": (1 / scale,) * 3}
    constants: dict[str, np.ndarray] = {
        f"v{name}": np.array(values, np.float32).reshape(3, 1, 1) for name, values in column.items()
    }
    constants |= {"zero": np.zeros((), np.float32), "one": np.ones((), np.float32)}
    constants["order"] = np.array(channels, np.int64)
    graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()
    )
    for node in graph.node:
        node.input[:] = ["undone" if name == "image" else name for name in node.input]
    steps = [("Gather", "order"), ("Mul", "vstd"), ("Add", "vmean"), ("Mul", "vunscale")]
    values = ["image", "a", "b", "c", "d"]
    for k, (operator, operand) in enumerate(steps):
        graph.node.insert(k, helper.make_node(operator, [values[k], operand], [values[k + 1]]))
    graph.node.insert(4, helper.make_node("Clip", ["d", "zero", "one"], ["undone"]))  # no other scale will do
    graph.node[0].attribute.append(helper.make_attribute("axis", 1))
    onnx.save(model, path)
    return path


IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
CASES = [
    ({"scale": 255.0}, {}, "--scale 255"),
    (IMAGENET, {}, "--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225"),
    ({"scale": 255.0}, {"scale": 1.0}, None),
]


@pytest.mark.parametrize(("feeding", "given", "expected"), CASES)
def test_the_preprocessing_is_found(small, folders, tmp_path, feeding, given, expected):
    """Where the user's own options rule the right one out, none is recommended."""
    options = Preprocessing(**given)
    model = open_model(variant(small, tmp_path / "m.onnx", **feeding), options)
    found = search(model, str(folders["w"]), options)
    if expected is None:
        assert found.better is None
    else:
        assert found.better
        assert found.better.accuracy > 0.85
        assert expected in [trial.as_options() for trial in found.best]
        assert all(("255" in trial.as_options()) == ("255" in expected) for trial in found.best)


def test_the_order_of_the_channels_is_found(small, folders, tmp_path):
    """Digits in red, and a model that reads the last channel."""
    for file in folders["w"].rglob("*.png"):
        pixels = np.array(Image.open(file))
        pixels[..., 1:] = 0
        (tmp_path / file.parent.name).mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / file.parent.name / file.name)
    given = Preprocessing(scale=255.0)
    model = open_model(variant(small, tmp_path / "m.onnx", scale=255.0, channels=(2, 2, 2)), given)
    found = search(model, str(tmp_path), given)
    assert found.better
    assert found.better.as_options() == "--channels bgr"


def test_a_preprocessing_that_fits_is_kept(small, folders, tmp_path):
    found = search(open_model(variant(small, tmp_path / "m.onnx")), str(folders["w"]), Preprocessing())
    assert (found.better, found.opened.accuracy > 0.85) == (None, True)


def test_a_wrong_setting_in_the_settings_file_is_found(small, folders, tmp_path):
    (tmp_path / "m.toml").write_text("scale = 255.0\nmean = [300.0]\n")
    found = search(open_model(variant(small, tmp_path / "m.onnx")), str(folders["w"]), Preprocessing())
    assert found.better
    assert found.better.as_options() == "--scale 1 --mean 0"


def test_the_order_of_the_classes_is_found(small, folders, tmp_path):
    """item10 comes second in the order of texts, which is that of audits, and last by value."""
    found = search(open_model(variant(small, tmp_path / "m.onnx")), str(folders["item"]), Preprocessing())
    assert found.opened.accuracy < 0.3
    assert found.better
    assert (found.better.as_options(), found.better.order) == ("", "folders sorted with numbers by value")


def test_a_model_with_a_manifest_is_only_measured(folders, tmp_path):
    found = search(open_model("digits-category"), "digits", Preprocessing())
    assert (len(found.trials), found.better) == (1, None)


def test_inspect_says_which_options_to_pass(small, folders, tmp_path):
    path = variant(small, tmp_path / "m.onnx", scale=255.0)
    done = inside(main, "inspect", path, "--data", folders["w"])
    assert done.returncode == 0, done.stderr
    assert "to use the first: --scale 255" in done.stdout
    done = inside(main, "inspect", path, "--data", folders["w"], "--scale", "255")
    assert "no other preprocessing is significantly better" in done.stdout
