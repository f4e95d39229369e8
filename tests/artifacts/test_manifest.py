import msgspec
import pytest

from vivavoce.artifacts import Manifest
from vivavoce.artifacts.manifest import Decoding, Input, Label
from vivavoce.errors import VivavoceError


def manifest(**changes) -> Manifest:
    parts = {
        "classes": ("cat", "dog"),
        "decoding": Decoding("nearest", 3.5),
        "input": Input(32, 32),
        "label": Label("speech", (64, 64), -80.0, 0.0, "ab", 2.0, frames=(10, 12)),
        "spoken": ("cat", "dog"),
    }
    return Manifest(**(parts | changes))


def test_survives_json():
    assert Manifest.from_json(manifest().to_json()) == manifest()


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("classes",), ["cat"], "classes"),
        (("classes",), ["cat", "cat"], "classes"),
        (("classes",), "cat", "$.classes"),
        (("spoken",), ["cat"], "spoken"),
        (("input", "height"), "tall", "$.input.height"),
        (("input", "std"), [1, 0, 1], "input.std"),
        (("input", "mean"), [0], "input.mean"),
        (("decoding", "rule"), "guess", "$.decoding.rule"),
        (("label", "temperature"), 0.0, "label.temperature"),
        (("label", "frames"), [1], "label.frames"),
        (("label",), None, "decoding.rule"),
        (("colour",), "red", "colour"),
        (("schema",), 99, "newer vivavoce"),
    ],
)
def test_names_the_field_that_is_wrong(path, value, named):
    document = msgspec.json.decode(manifest().to_json())
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(VivavoceError, match=named.replace("$", r"\$")):
        Manifest.from_json(msgspec.json.encode(document))


def test_a_missing_field_is_named():
    document = msgspec.json.decode(manifest().to_json())
    del document["input"]
    with pytest.raises(VivavoceError, match="input"):
        Manifest.from_json(msgspec.json.encode(document))


def test_text_that_is_not_json_is_refused():
    with pytest.raises(VivavoceError, match="not valid"):
        Manifest.from_json("{")
