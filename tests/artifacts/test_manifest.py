import re
from contextlib import suppress

import msgspec
import numpy as np
import pytest

from vivavoce.artifacts import Manifest
from vivavoce.artifacts.manifest import Decoding, Input, Label, Mel
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
        (("input", "std"), [1, 0, 1], "std: .*$.input"),
        (("input", "mean"), [0], "mean: .*$.input"),
        (("decoding", "rule"), "guess", "$.decoding.rule"),
        (("label", "temperature"), 0.0, "temperature: .*$.label"),
        (("label", "frames"), [1], "label.frames"),
        (("label",), None, "decoding.rule"),
        (("input", "height"), 200_000, "height"),
        (("input", "width"), -1, "width"),
        (("input", "channels"), 4, "channels"),
        (("input", "resize"), 10**9, "resize"),
        (("input", "std"), [1, 1, -1], "std"),
        (("input", "mean"), [0, 0, 1e300], "mean"),
        (("decoding", "threshold"), -1, "threshold"),
        (("label", "shape"), [2**20, 2**20], "shape"),
        (("label", "shape"), [], "shape"),
        (("label", "minimum"), 1.0, "maximum"),
        (("label", "mel"), {"hop": 0}, "hop"),
        (("label", "mel"), {"n_fft": 0}, "n_fft"),
        (("label", "mel"), {"sample_rate": 0}, "sample_rate"),
        (("label", "mel"), {"fmin": 9000}, "fmin"),
        (("label", "mel"), {"floor": 1}, "floor"),
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


def test_a_word_of_minutes_is_no_word():
    label = Label("speech", (64, 64), -80.0, 0.0, "ab", 2.0, (10, 12), Mel())
    text = manifest(label=label).to_json()
    for count in (0, -1, 5168, 10**8):
        with pytest.raises(VivavoceError, match=r"frames: must be in 1\.\.5167, is"):
            Manifest.from_json(text.replace("[10,12]", f"[10,{count}]"))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none(number):
    text = manifest().to_json().replace('"temperature":2.0', f'"temperature":{number}')
    with pytest.raises(VivavoceError, match="not valid"):
        Manifest.from_json(text)


def test_bytes_that_are_not_utf8():
    with pytest.raises(VivavoceError, match="not valid") as caught:
        Manifest.from_json(manifest().to_json().encode().replace(b"cat", b"c\xfft", 1))
    assert "\n" not in str(caught.value)


def test_no_damage_ends_in_anything_but_one_line():
    """1,000 seeded mutations of the text: bytes changed, cut and repeated, numbers replaced."""
    whole, draw = manifest().to_json().encode(), np.random.default_rng(0)
    numbers = (b"0", b"-1", b"1e9", b"1e308", b"99999999999", b"null", b"[]", b'"x"', b"NaN", b"1e999")
    for _ in range(1000):
        data = bytearray(whole)
        for _ in range(draw.integers(1, 4)):
            at, kind = int(draw.integers(len(data))), draw.integers(3)
            if kind == 0:
                data[at] = int(draw.integers(256))
            elif kind == 1:
                del data[at : at + int(draw.integers(1, 20))]
            else:
                found = list(re.finditer(rb"-?\d+(\.\d+)?", data))
                place = found[int(draw.integers(len(found)))]
                data[place.start() : place.end()] = numbers[int(draw.integers(len(numbers)))]
        with suppress(VivavoceError):
            Manifest.from_json(bytes(data))
