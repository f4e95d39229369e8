"""Models without a gradient by nature: trees are not masked, and are attacked with what is made for them."""

import numpy as np
import pytest
from PIL import Image
from trees import write_majority

from vivavoce.artifacts import open_model
from vivavoce.audit.plan import Settings
from vivavoce.audit.protocol import resolve
from vivavoce.audit.run import robustness
from vivavoce.gradient import UnsupportedOperator, open_gradient


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("piecewise")
    rng = np.random.default_rng(0)
    for name, low in (("dark", 20), ("bright", 140)):
        (folder / "data" / name).mkdir(parents=True)
        for k in range(6):
            pixels = rng.integers(low, low + 90, (2, 2)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "data" / name / f"{k}.png")
    path = write_majority(folder / "majority.onnx")
    protocol = resolve("quick", epsilons=[0.3])
    return robustness(open_model(path), Settings(data=str(folder / "data"), protocol=protocol)).report


def test_the_verdict_says_what_it_means(report):
    assert "piecewise constant" in report.verdict
    assert "upper bound" in report.verdict
    assert "masked" not in report.verdict
    (check,) = [c for c in report.diagnosis if c.name == "piecewise constant"]
    assert check.level == "fine"
    assert all(c.name != "no gradient" for c in report.diagnosis)


def test_attacks_are_those_made_for_it(report):
    assert [row.attack for row in report.rows] == ["square", "boundary"]
    assert report.rows[-1].accuracy < 1


def test_the_gradient_says_so(tmp_path):
    with pytest.raises(UnsupportedOperator, match="piecewise constant"):
        open_gradient(open_model(write_majority(tmp_path / "m.onnx")))


def test_attacks_chosen_by_name_stay(tmp_path):
    from vivavoce.audit.target import Target

    target = Target(open_model(write_majority(tmp_path / "m.onnx")))
    assert resolve("quick", attacks=["square-300"]).fitted(target).attacks == ("square-300",)
